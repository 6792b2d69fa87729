-- Writes a line into a channel of Slack for each event.
--
-- This is the file to copy when you want to tell people, and not a program, of what happens. A
-- method has four parts: the form (fields), an optional condition (accepts, see mailchimp.lua),
-- what is sent (transform), and how it is sent and what the answer means (deliver).
--
-- Other services:
--   Discord     add /slack to the end of its webhook URL, and this method works as it is. Or copy
--               it: `content` instead of `text`, at most 2000 characters; no escape() but
--               allowed_mentions = { parse = json.array {} }; 204 is the success; errors are JSON:
--               404 with code 10015 means that the webhook was deleted, 400 with code 50006 that
--               the message was empty.
--   Mattermost  works as it is.
--   Zapier      takes any JSON: use none.lua. It answers 200 {"status":"success"}, and 410 when
--               the Zap is off, which disables the webhook here.

-- In Slack, <!channel> calls everybody and <http://...> is a link. A guest may call himself that,
-- so these three characters are escaped in values. In the template they are the owner's own: he
-- may write <https://hotel.example/bookings/{contract_uid}|Open>.
local function escape(text)
  return (text:gsub("[&<>]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }))
end

-- What a path such as {"guest", "name"} leads to; nil: nothing. A list's entries are 1, 2, 3 ...
local function follow(value, path)
  for _, name in ipairs(path) do
    if type(value) ~= "table" then
      return nil
    end
    value = value[name] == nil and value[tonumber(name)] or value[name]
  end
  return value
end

-- {type}, {id}, {property_id}, {manager_id} and {occurred_at} are of the event itself;
-- {contract_uid} is looked for in its data, then in its details; {details.guest.name} says where.
local function find(event, name)
  local path = {}
  for part in name:gmatch("[^.]+") do
    path[#path + 1] = part
  end
  local own = { type = event.type, id = event.id, property_id = event.property_id, manager_id = event.manager_id,
    occurred_at = event.occurred_at, data = event.data, details = event.details, channel = event.channel }
  for _, place in ipairs { own, event.data or {}, event.details or {} } do
    local value = follow(place, path)
    if value ~= nil then
      return value
    end
  end
end

-- A name that leads nowhere stays as it is, so that a mistake in the template is seen. So does one
-- that leads to more than a text or a number. What is empty in the event is empty here.
local function fill(template, event)
  return (template:gsub("{([%w_.-]+)}", function(name)
    local value = find(event, name)
    if value == json.null then
      return ""
    elseif value == nil or type(value) == "table" then
      return nil -- leaves {name} as it is
    end
    return escape(tostring(value))
  end))
end

-- Slack answers in one word (the status alone does not tell them apart).
local MEANING = {
  no_text = "The message was empty: look at the template.",
  invalid_payload = "Slack could not read the message. Tell whoever looks after the method's file.",
  action_prohibited = "An administrator of the workspace does not allow this message in this channel.",
  posting_to_general_channel_denied = "An administrator of the workspace does not allow this message in this channel.",
  channel_not_found = "The channel does not exist any more. Make a new webhook in Slack and enter its URL here.",
  no_service = "Slack does not know this webhook (any more). Make a new one there and enter its URL here.",
  no_service_id = "Slack does not know this webhook (any more). Make a new one there and enter its URL here.",
  no_active_hooks = "The webhook was switched off in Slack. Make a new one there and enter its URL here.",
  invalid_token = "The URL is not complete, or was replaced. Copy it from Slack once more.",
  no_team = "The workspace does not exist. Copy the URL from Slack once more.",
  team_disabled = "The workspace is closed. Make a new webhook in Slack and enter its URL here.",
}

return {
  interface = 1,
  title = "Slack",
  notes = "Writes a line into a channel. Make an incoming webhook in Slack first, for the channel of your choice.",

  fields = {
    -- The URL is all that somebody needs to write into the channel: it is a password, and not shown again.
    { key = "webhook_url", format = "password", title = "Webhook URL", required = true, trim = true,
      pattern = "https?://[^%s/]+/%S+",
      hint = "It is the whole URL that Slack shows for an incoming webhook: https://hooks.slack.com/services/...",
      help = "In Slack: your app > Incoming Webhooks > Webhook URL." },
    { key = "template", format = "area", title = "Message", required = true,
      default = "New booking {contract_uid} at property {property_uid}",
      help = "Names in braces are replaced by what the event has: {type}, {property_id}, what is in its data, "
        .. "{details.guest.name} and so on. A name that the event does not have stays as it is." },
  },

  transform = function(event, settings)
    local text = fill(settings.template, event)
    if event.test then
      text = "This is a test. A message will look like this:\n" .. text
    end
    return { text = text }
  end,

  deliver = function(event, settings, remote)
    local answer = remote.post(settings.webhook_url, { body = event.body })
    local word = answer.body:match("^%s*([%l_]+)%s*$")
    if answer.status == 200 and word ~= "ok" then -- a page of some other site, for example
      return remote.retry("What answered is no incoming webhook of Slack. Is the URL right?")
    end
    -- 410 (the channel is archived) disables the webhook by the usual rules, 429 and 5xx come again.
    if answer.status >= 400 and answer.status < 500 and MEANING[word] then
      return remote.fail(MEANING[word])
    end
    return answer
  end,
}
