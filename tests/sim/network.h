/* The network: what is under way to which receiver. It outlives processes, and forgets a dead one's requests. */
#pragma once

#include "receiver.h"
#include "transport/transport.h"

network *network_new(sim *s);
void network_free(network *n);
/* The functions that a loop is given in place of libcurl's. */
const bh_wire *network_wire(network *n);
receiver *network_receiver(network *n, unsigned number); /* made when it is asked for the first time */
unsigned network_receivers(const network *n);
receiver *network_receiver_of(network *n, const bh_webhook *webhook);
char *network_settings(sim *s, const char *method, unsigned receiver, bh_id webhook); /* of a webhook that leads there */
void network_process_over(network *n);

/* A request, as the network and the rules see it. */
typedef struct visit {
	bh_id event, webhook; /* as the header and the path say */
	receiver *receiver;
	int64_t sequence; /* in the body; 0: none */
	bool is_transformed;
	bh_mono sent_at;
	meeting meeting;
	bool is_second; /* of its attempt: the token of the first was refused */
	bool is_retry, is_urgent; /* as the rules have it in their books */
} visit;
