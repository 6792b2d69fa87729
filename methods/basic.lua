-- Sends the event with a user name and a password (HTTP Basic, RFC 7617).
return {
  title = "Basic authentication",
  notes = "The remote service gets each event with this user name and password.",

  fields = {
    { key = "url", format = "url", title = "URL", required = true,
      help = "Where the events go. Use https: the password travels with every request." },
    { key = "basic_username", format = "input", title = "User name", required = true },
    { key = "basic_password", format = "password", title = "Password", required = true },
  },

  deliver = function(event, settings, remote)
    return remote.post(settings.url, {
      body = event.body,
      headers = { Authorization = remote.basic(settings.basic_username, settings.basic_password) },
    })
  end,
}
