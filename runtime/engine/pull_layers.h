/* The layers of one pull: which are there, and fetching the others, several at a time. */
#ifndef SAMPAN_ENGINE_PULL_LAYERS_H
#define SAMPAN_ENGINE_PULL_LAYERS_H

#include "runtime/engine/pull.h"
#include "runtime/store/layers.h"

#include <pthread.h>

struct pull_layer;

struct pull {
	struct engine *en;
	const struct reference *ref;
	struct platform platform;
	const struct progress *progress;
	atomic_bool cancel;
	struct registry registry;
	struct transfer transfer; /* of the calling thread */
	struct document doc;	  /* of the manifest */
	struct manifest manifest;
	char manifest_type[256];
	struct image image;

	struct digest *chains; /* one per layer */
	size_t n_held;	       /* of them */
	struct pull_layer *layers;
	pthread_mutex_t lock; /* what follows */
	pthread_cond_t changed;
	size_t next;	   /* layer that nobody has taken yet */
	unsigned running;  /* threads */
	struct err failed; /* the first failure */
};

/* Have all layers. Returns 0 or -errno; pull_layers_release in any case. */
int pull_layers(struct pull *p, struct err *e);
void pull_layers_release(struct pull *p);

#endif
