/* What a trial came to, told to a person or as JSON. Pure. */
#pragma once

#include "cli/trial.h"
#include "cli/view.h"

void bh_trial_view(const bh_view *view, const bh_trial_plan *plan, const bh_trial *trial, GString *out);
void bh_trial_json(const bh_trial_plan *plan, const bh_trial *trial, GString *out);

/* "delivered", "filtered", "failed", "gone", "refused"; "unanswered": it could not go on. */
const char *bh_trial_verdict(const bh_trial *trial);
