/* What store.h promises, run against every backend (house.c names them). */
#include "house.h"

#include "base/log.h"

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	bh_log_setup(BH_WARNING, false, 2); /* each test makes a store, which would be said */
	add_event_tests();
	add_delivery_tests();
	add_order_tests();
	add_order_model_tests();
	add_coalescing_tests();
	add_recovery_tests();
	add_plan_tests();
	add_directory_tests();
	add_list_tests();
	add_thread_tests();
	add_opening_tests();
	add_trouble_tests();
	return g_test_run();
}
