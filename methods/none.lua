-- Sends the event without credentials. Every request is signed all the same, so the
-- receiver can still tell that it is genuine.
return {
  title = "No authentication",
  notes = "The remote service gets each event as a signed POST. Check the signature there.",

  fields = {
    { key = "url", format = "url", title = "URL", required = true,
      help = "Where the events go, for example https://example.org/hooks/bookings" },
  },

  deliver = function(event, settings, remote)
    return remote.post(settings.url, { body = event.body })
  end,
}
