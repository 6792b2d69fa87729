/* The functions of the commands, for the table in commands.c. What each does is said there. */
#pragma once

#include "cli/commands.h"

/* about.c, config.c */
bh_exit bh_run_serve(bh_call *call, GError **error);
bh_exit bh_run_config(bh_call *call, GError **error);
bh_exit bh_run_version(bh_call *call, GError **error);
bh_exit bh_run_help(bh_call *call, GError **error);

/* send.c */
bh_exit bh_run_send(bh_call *call, GError **error);

/* explain.c */
bh_exit bh_run_explain(bh_call *call, GError **error);
bh_exit bh_run_event_replay(bh_call *call, GError **error);

/* event.c */
bh_exit bh_run_event_list(bh_call *call, GError **error);
bh_exit bh_run_event_show(bh_call *call, GError **error);

/* recover.c */
bh_exit bh_run_recover(bh_call *call, GError **error);
bh_exit bh_run_recovery_list(bh_call *call, GError **error);
bh_exit bh_run_recovery_show(bh_call *call, GError **error);
bh_exit bh_run_recovery_cancel(bh_call *call, GError **error);

/* delivery.c */
bh_exit bh_run_delivery_list(bh_call *call, GError **error);
bh_exit bh_run_delivery_show(bh_call *call, GError **error);
bh_exit bh_run_delivery_retry(bh_call *call, GError **error);
bh_exit bh_run_delivery_cancel(bh_call *call, GError **error);

/* webhook.c, webhook_test.c, webhook_dry_run.c */
bh_exit bh_run_webhook_list(bh_call *call, GError **error);
bh_exit bh_run_webhook_show(bh_call *call, GError **error);
bh_exit bh_run_webhook_add(bh_call *call, GError **error);
bh_exit bh_run_webhook_set(bh_call *call, GError **error);
bh_exit bh_run_webhook_remove(bh_call *call, GError **error);
bh_exit bh_run_webhook_test(bh_call *call, GError **error);
bh_exit bh_run_webhook_dry_run(bh_call *call, GError **error);
bh_exit bh_run_webhook_secret(bh_call *call, GError **error);
bh_exit bh_run_webhook_rotate(bh_call *call, GError **error);

/* people.c */
bh_exit bh_run_manager_list(bh_call *call, GError **error);
bh_exit bh_run_manager_show(bh_call *call, GError **error);
bh_exit bh_run_manager_add(bh_call *call, GError **error);
bh_exit bh_run_manager_set(bh_call *call, GError **error);
bh_exit bh_run_manager_remove(bh_call *call, GError **error);
bh_exit bh_run_property_list(bh_call *call, GError **error);
bh_exit bh_run_property_show(bh_call *call, GError **error);
bh_exit bh_run_property_add(bh_call *call, GError **error);
bh_exit bh_run_property_set(bh_call *call, GError **error);
bh_exit bh_run_property_remove(bh_call *call, GError **error);

/* key.c */
bh_exit bh_run_key_list(bh_call *call, GError **error);
bh_exit bh_run_key_add(bh_call *call, GError **error);
bh_exit bh_run_key_revoke(bh_call *call, GError **error);
bh_exit bh_run_audit(bh_call *call, GError **error);

/* type.c */
bh_exit bh_run_type_list(bh_call *call, GError **error);
bh_exit bh_run_type_show(bh_call *call, GError **error);
bh_exit bh_run_type_add(bh_call *call, GError **error);
bh_exit bh_run_type_remove(bh_call *call, GError **error);

/* method.c, method_check.c, method_try.c */
bh_exit bh_run_method_list(bh_call *call, GError **error);
bh_exit bh_run_method_show(bh_call *call, GError **error);
bh_exit bh_run_method_reload(bh_call *call, GError **error);
bh_exit bh_run_method_check(bh_call *call, GError **error);
bh_exit bh_run_method_try(bh_call *call, GError **error);

/* listen.c, verify.c */
bh_exit bh_run_listen(bh_call *call, GError **error);
bh_exit bh_run_verify(bh_call *call, GError **error);
