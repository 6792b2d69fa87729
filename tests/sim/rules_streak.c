#include "rules.h"
void streak_recorded(sim *s, const bh_write *w)
{
	(void)s;
	(void)w;
}
void streak_put(sim *s, watched *w, const bh_webhook *webhook)
{
	(void)s;
	(void)w;
	(void)webhook;
}
