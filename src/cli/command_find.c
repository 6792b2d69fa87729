/* From words to a row of the table, and from wrong words to what was probably meant. */
#include "cli/commands.h"

#include "base/near.h"

#include <string.h>

void bh_command_options(const bh_command *command, const bh_option *ret[BH_OPTION_SETS_MAX])
{
	size_t count = 0;
	if (command->options)
		ret[count++] = command->options;
	for (const bh_shared *s = BH_SHARED; s->title; s++)
		if (command->traits & s->trait)
			ret[count++] = s->options;
	g_assert(count < BH_OPTION_SETS_MAX);
	ret[count] = NULL;
}

/* How many of `words` the command takes as its own; 0: it is another one. */
static int words_used(const bh_command *command, char *const *words)
{
	g_auto(GStrv) own = g_strsplit(command->words, " ", -1);
	int used = 0;
	for (; own[used]; used++)
		if (!words[used] || strcmp(words[used], own[used]) != 0)
			return 0;
	return used;
}

const bh_command *bh_command_find(char *const *words, int *ret_used)
{
	for (const bh_command *c = BH_COMMANDS; c->words; c++)
		if ((*ret_used = words_used(c, words)) > 0)
			return c;
	return NULL;
}

/* --- Did you mean -------------------------------------------------------------------------- */

/* What other programs call it. */
static const char *our_word(const char *typed)
{
	static const char *const words[][2] = {
		{"create", "add"},   {"new", "add"},        {"make", "add"},         {"delete", "remove"},
		{"del", "remove"},   {"rm", "remove"},      {"ls", "list"},          {"get", "show"},
		{"info", "show"},    {"update", "set"},     {"edit", "set"},         {"change", "set"},
		{"start", "serve"},  {"run", "serve"},      {"emit", "send"},        {"post", "send"},
		{"publish", "send"}, {"receive", "listen"}, {"why", "explain"},      {"settings", "config"},
		{"hook", "webhook"}, {"user", "manager"},   {"endpoint", "webhook"}, {"attempts", "show"},
		{"resend", "retry"}, {"replay", "retry"},   {"check", "verify"},     {"hotel", "property"}};
	for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
		if (g_ascii_strcasecmp(typed, words[i][0]) == 0)
			return words[i][1];
	return typed;
}

static bool is_noun(const char *word)
{
	for (const bh_noun *n = BH_NOUNS; n->word; n++)
		if (strcmp(n->word, word) == 0)
			return true;
	return false;
}

/* The noun that `typed` is, or nearly is, or has another name for; NULL: none. */
static const char *near_noun(const char *typed)
{
	g_autoptr(GPtrArray) nouns = g_ptr_array_new();
	for (const bh_noun *n = BH_NOUNS; n->word; n++)
		g_ptr_array_add(nouns, (char *)n->word);
	g_ptr_array_add(nouns, NULL);
	const char *ours = our_word(typed);
	return is_noun(ours) ? ours : bh_nearest(ours, (const char *const *)nouns->pdata);
}

/* The verb of `noun` that `typed` is nearest to; NULL: none is near. */
static const char *near_verb(const char *noun, const char *typed)
{
	g_autoptr(GPtrArray) verbs = g_ptr_array_new();
	size_t length = strlen(noun);
	for (const bh_command *c = BH_COMMANDS; c->words; c++)
		if (g_str_has_prefix(c->words, noun) && c->words[length] == ' ')
			g_ptr_array_add(verbs, (char *)c->words + length + 1);
	g_ptr_array_add(verbs, NULL);
	const char *const *known = (const char *const *)verbs->pdata;
	const char *ours = our_word(typed);
	return g_strv_contains(known, ours) ? ours : bh_nearest(ours, known);
}

static bool is_command(const char *word)
{
	for (const bh_command *c = BH_COMMANDS; c->words; c++)
		if (strcmp(c->words, word) == 0)
			return true;
	return false;
}

/* New text, such as "webhook list"; NULL: we cannot tell. */
static char *meant(const char *first, const char *second)
{
	const char *noun = near_noun(first);
	if (noun && second && is_command(second))
		return g_strdup(second); /* "webhook recover": nobody shall be led to `webhook remove` */

	const char *verb = noun && second ? near_verb(noun, second) : NULL;
	if (verb)
		return g_strdup_printf("%s %s", noun, verb);

	/* "list webhooks" */
	const char *swapped = second ? near_noun(second) : NULL;
	verb = swapped ? near_verb(swapped, first) : NULL;
	if (verb)
		return g_strdup_printf("%s %s", swapped, verb);
	return noun && strcmp(noun, first) != 0 ? g_strdup(noun) : NULL;
}

void bh_command_unknown(char *const *words, GError **error)
{
	const char *first = words[0], *second = words[1];
	if (second && second[0] == '-')
		second = NULL;
	if (first[0] == '-') {
		bh_usage_error(
			error,
			"\"%s\" comes before any command: options stand after it\n`bellhop help` lists the commands.",
			first);
		return;
	}
	g_autofree char *suggestion = meant(first, second);
	g_autofree char *typed = second && is_noun(first) ? g_strdup_printf("%s %s", first, second) : g_strdup(first);
	if (suggestion)
		bh_usage_error(error, "there is no command \"%s\"; did you mean `bellhop %s`?", typed, suggestion);
	else if (is_noun(first))
		bh_usage_error(error, "there is no command \"%s\"\n`bellhop help %s` lists what there is.", typed,
			       first);
	else
		bh_usage_error(error, "there is no command \"%s\"\n`bellhop help` lists the commands.", typed);
}
