-- Adds the guest of a new booking, or a new guest record, to an audience of MailChimp.
--
-- What you may want to change in a copy: which events count (WANTED), where the guest stands in
-- your events (find_guest), and what is sent of him (deliver).

-- Only these. A cancelled booking has a guest, too, and he is not one to write to.
local WANTED = { booking_added = true, guest_saved = true, guest_updated = true }

-- MailChimp names each error by `title`, which is meant for programs. (`detail` is prose that
-- changes, and holds the guest's address: it must not get into what is shown here.)
local MEANING = {
  ["Forgotten Email Not Subscribed"] =
    "The guest was deleted from this audience for good. MailChimp takes him again only if he signs up himself.",
  ["Member In Compliance State"] =
    "The guest unsubscribed, or mails to him came back. MailChimp takes him again only if he signs up himself.",
  ["API Key Invalid"] =
    "MailChimp does not know this API key (any more). Make a new one there, under Profile > Extras > API keys, and enter it here.",
  ["API Key Missing"] =
    "MailChimp does not know this API key (any more). Make a new one there, under Profile > Extras > API keys, and enter it here.",
  ["Wrong Datacenter"] =
    "The end of the API key (such as -us7) names another data centre than that of the account. Copy the whole key once more.",
  ["User Disabled"] = "MailChimp has closed or suspended this account. Ask MailChimp why.",
  ["Resource Not Found"] =
    "The account has no audience with this ID. It stands in MailChimp under Audience > Settings > Audience name and defaults.",
}

local function text_of(value)
  local text = type(value) == "string" and value:match("^%s*(.-)%s*$") or ""
  return text ~= "" and text or nil
end

local function first_text(table, names)
  for _, name in ipairs(names) do
    local text = text_of(table[name])
    if text then
      return text
    end
  end
end

-- The guest in an event's details: Jomres writes `firstname` and `surname`, under guest_details
-- or contract_details; other applications have other names. nil: nobody with an e-mail address.
local function find_guest(details)
  if type(details) ~= "table" then
    return nil
  end
  local places = { details, details.guest_details, details.guest, details.customer, details.contract_details, details.booking }
  for i = 1, 6 do
    local place = places[i]
    local email = type(place) == "table" and first_text(place, { "email", "email_address", "e_mail" })
    if email then
      return {
        email = email,
        first = first_text(place, { "firstname", "first_name", "given_name" }),
        last = first_text(place, { "surname", "lastname", "last_name", "family_name" }),
      }
    end
  end
end

-- The last part of a key is the data centre where the account lives, and so the host to call.
local function api_of(settings)
  local centre = settings.mailchimp_apikey:match("%-(%l%l%d+)$")
  local base = settings.base_url or "https://" .. centre .. ".api.mailchimp.com"
  return base:gsub("/+$", "") .. "/3.0"
end

-- "Invalid Resource" says which fields it is about, if it is not the address itself.
local function invalid_sentence(problem)
  local fields = {}
  for _, wrong in ipairs(type(problem.errors) == "table" and problem.errors or {}) do
    local name = type(wrong) == "table" and text_of(wrong.field)
    if name and name ~= "email_address" then
      fields[#fields + 1] = name:sub(1, 40)
    end
  end
  if #fields > 0 then
    return "MailChimp wants something else in these fields of the audience: " .. table.concat(fields, ", ") ..
      ". Fields other than FNAME and LNAME must not be required there."
  end
  return "MailChimp does not take the guest's e-mail address: it is no valid one, or looks made up."
end

-- What an answer means. What is not known here is left to the usual rules: 2xx is delivered, and
-- the rest (too many requests, an outage) is tried again later.
local function judge(answer, remote)
  if answer.status == 0 or answer.status < 400 or answer.status == 429 or answer.status >= 500 then
    return answer
  end
  local problem = json.decode(answer.body)
  if type(problem) ~= "table" then
    -- Their network blocks senders with a web page. It may quote anything, so nothing is read from it.
    return remote.retry("What answered is not MailChimp's API, but perhaps the network before it.")
  end
  if answer.status == 400 and problem.title == "Member Exists" then
    return remote.delivered("The guest is in the audience already.")
  end
  if answer.status == 400 and problem.title == "Invalid Resource" then
    if tostring(problem.detail):find("lot of lists very recently", 1, true) then
      return remote.retry("The guest signed up to many audiences lately; MailChimp takes him later.", 6 * 3600)
    end
    return remote.fail(invalid_sentence(problem))
  end
  if MEANING[problem.title] then
    return remote.fail(MEANING[problem.title])
  end
  return answer
end

return {
  interface = 1,
  title = "MailChimp",
  notes = "Adds guests with an e-mail address to an audience, when they book or are entered. "
    .. "The event must bring the guest's details, or the site's own API must give them.",

  fields = {
    { key = "mailchimp_apikey", format = "password", title = "API key", required = true, trim = true,
      pattern = "[0-9a-z]+%-%l%l%d+",
      hint = "Copy the whole key, up to its end such as -us7. It stands in MailChimp under Profile > Extras > API keys.",
      help = "In MailChimp: Profile > Extras > API keys." },
    { key = "mailchimp_listid", format = "input", title = "Audience ID", required = true, trim = true,
      pattern = "%w+",
      hint = "The ID is letters and digits only. It stands in MailChimp under Audience > Settings > Audience name and defaults.",
      help = "In MailChimp: Audience > Settings > Audience name and defaults." },
    { key = "status", format = "select", title = "New members", options = { "pending", "subscribed" }, default = "pending",
      help = "pending: MailChimp asks the guest by mail first, and adds him when he agrees. "
        .. "subscribed: he is added at once. Choose that only if he has agreed already." },
    { key = "base_url", format = "url", title = "Another address of the API",
      help = "For tests only. Leave it empty: the end of the key says where the account lives." },
  },

  accepts = function(event)
    return WANTED[event.type] == true
  end,

  deliver = function(event, settings, remote)
    local headers = { Authorization = remote.basic("bellhop", settings.mailchimp_apikey) }
    local list = api_of(settings) .. "/lists/" .. url.encode(settings.mailchimp_listid)
    if event.test then -- there is no guest: see whether key and audience are right
      return judge(remote.get(list .. "?fields=id", { headers = headers }), remote)
    end

    local guest = find_guest(remote.lookup(event))
    if not guest then
      return remote.delivered("There is no guest with an e-mail address in this event, so there was nothing to do.")
    end
    return judge(remote.post(list .. "/members/", {
      headers = headers,
      body = json.encode {
        email_address = guest.email,
        status = settings.status,
        merge_fields = { FNAME = guest.first, LNAME = guest.last },
      },
    }), remote)
  end,
}
