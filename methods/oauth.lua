-- Sends the event with an access token that it gets with client credentials (OAuth 2: RFC 6749,
-- section 4.4). Bellhop keeps the token until shortly before it expires, so most events cost
-- one request and not two.
return {
  interface = 1,
  title = "OAuth 2 (client credentials)",
  notes = "The remote service gets each event with an access token, which is fetched from its token service when one is needed.",

  fields = {
    { key = "url", format = "url", title = "URL", required = true,
      help = "Where the events go. Use https: the token travels with every request." },
    { key = "token_url", format = "url", title = "Token URL", required = true,
      help = "Where the remote service gives out access tokens, for example https://example.org/oauth/token" },
    { key = "client_id", format = "input", title = "Client id", required = true },
    { key = "client_secret", format = "password", title = "Client secret", required = true },
    { key = "scope", format = "input", title = "Scope",
      help = "What the token shall allow, several words parted by blanks. Leave it empty if the remote service names none." },
    { key = "audience", format = "input", title = "Audience",
      help = "Only if the remote service asks for one (Auth0 does, for example)." },
    { key = "resource", format = "input", title = "Resource",
      help = "Only if the remote service asks for one: the address of the API that the token is for (RFC 8707)." },
    { key = "credentials", format = "select", title = "How the client id and the secret are sent",
      options = { "header", "header_raw", "body" }, default = "header",
      help = "header: in the Authorization header, as the standard says. header_raw: there too, but not encoded, "
        .. "for token services that refuse a secret with special characters otherwise. body: in the form, "
        .. "as client_id and client_secret." },
    { key = "extra", format = "area", title = "Further parameters",
      help = "For the token service, one a line: name=value" },
  },

  deliver = function(event, settings, remote)
    local extra
    if settings.extra then
      extra = {}
      for line in settings.extra:gmatch("[^\r\n]+") do
        local name, value = line:match("^%s*([^=%s]+)%s*=%s*(.-)%s*$")
        if name then
          extra[name] = value
        elseif line:find("%S") then
          error("a line of the further parameters is not name=value", 0)
        end
      end
    end

    local client = {
      url = settings.token_url,
      client_id = settings.client_id,
      client_secret = settings.client_secret,
      scope = settings.scope,
      audience = settings.audience,
      resource = settings.resource,
      credentials = settings.credentials,
      extra = extra,
    }

    local function send(token)
      return remote.post(settings.url, {
        body = event.body,
        headers = { Authorization = "Bearer " .. token },
      })
    end

    -- If no token can be had, remote.token ends this attempt and says why. It will be made again.
    local answer = send(remote.token(client))

    -- A token can be taken back before it expires. So one refusal is answered with a new token,
    -- but a second one is final: the remote service means it. fresh_token gives nil when the token
    -- was replaced a moment ago already.
    if answer.status == 401 or answer.status == 403 then
      local token = remote.fresh_token(client)
      if token then
        answer = send(token)
      end
    end
    return answer
  end,
}
