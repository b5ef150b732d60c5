#include "runtime/engine/pull_layers.h"

#include "lib/base/time.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* bytes of a fetching thread's stack: libcurl's and the TLS library's needs, and ASan's */
#define FETCH_STACK_BYTES (512u << 10)

/* Where a layer is, in the order that it goes through. */
enum step {
	STEP_NONE,
	STEP_PULLING,
	STEP_WAITING,
	STEP_DOWNLOADING,
	STEP_VERIFYING,
	STEP_DOWNLOADED,
	STEP_EXTRACTING,
	STEP_COMPLETE,
	STEP_EXISTS,
};

static const char *const step_words[] = {
	[STEP_PULLING] = "Pulling fs layer",
	[STEP_WAITING] = "Waiting",
	[STEP_DOWNLOADING] = "Downloading",
	[STEP_VERIFYING] = "Verifying Checksum",
	[STEP_DOWNLOADED] = "Download complete",
	[STEP_EXTRACTING] = "Extracting",
	[STEP_COMPLETE] = "Pull complete",
	[STEP_EXISTS] = "Already exists",
};

struct pull_layer {
	struct pull *pull;
	struct layer_writer writer;
	char id[13]; /* of the blob, as Docker shows it */
	uint64_t size;
	bool here; /* it was there from the start */

	/* written by the fetching thread */
	atomic_int step;
	atomic_uint_fast64_t current; /* bytes */
	atomic_uint retry_s;

	/* of the telling thread */
	int told;
	uint64_t told_current;
	unsigned told_retry_s;
};

static void tell_step(struct pull_layer *l, int step)
{
	const struct progress *pr = l->pull->progress;
	bool counts = step == STEP_DOWNLOADING || step == STEP_EXTRACTING;
	uint64_t current = step == STEP_DOWNLOADING ? atomic_load(&l->current) : l->size;

	l->told_current = current;
	pr->update(pr->arg, l->id, step_words[step], counts ? current : 0, counts ? l->size : 0);
}

/* Tell what happened to one layer since it was told of last. */
static void tell(struct pull_layer *l)
{
	const struct progress *pr = l->pull->progress;
	int step = atomic_load(&l->step);
	unsigned retry_s = atomic_load(&l->retry_s);

	while (l->told < step) {
		l->told = step == STEP_EXISTS ? STEP_EXISTS : l->told + 1;
		/* Waiting is over by the time that the next step is known. */
		if (l->told == STEP_WAITING && step != STEP_WAITING)
			continue;
		tell_step(l, l->told);
	}
	if (retry_s != l->told_retry_s && retry_s) {
		char words[48];

		(void)snprintf(words, sizeof(words), "Retrying in %u second%s", retry_s,
			retry_s == 1 ? "" : "s");
		pr->update(pr->arg, l->id, words, 0, 0);
	}
	l->told_retry_s = retry_s;
	if (l->told == STEP_DOWNLOADING && atomic_load(&l->current) != l->told_current)
		tell_step(l, STEP_DOWNLOADING);
}

static int take_bytes(void *arg, const void *buf, size_t len, struct err *e)
{
	struct pull_layer *l = arg;

	atomic_store(&l->retry_s, 0);
	atomic_fetch_add(&l->current, len);
	return layer_write(&l->writer, buf, len, e);
}

static void note_retry(void *arg, unsigned seconds)
{
	struct pull_layer *l = arg;

	atomic_store(&l->retry_s, seconds ? seconds : 1);
}

/* The blob's bytes into the layer: out of the store, which may know them from another image, or
 * from the registry. */
static int fill(
	struct pull_layer *l, struct transfer *t, const struct digest *digest, struct err *e)
{
	const struct registry_sink sink = {take_bytes, note_retry, l};
	struct err absent = {0};
	struct blob b;
	int r;

	if (blob_store_open(&l->pull->en->images, digest, &b, &absent) < 0)
		return registry_get_blob(&l->pull->registry, t, digest, l->size, &sink, e);
	r = layer_write_blob(&l->writer, &b, e);
	atomic_store(&l->current, b.size);
	blob_close(&b);
	return r;
}

static int fetch(struct pull *p, size_t i, struct transfer *t, struct err *e)
{
	const struct image_layer *layer = &p->image.layers[i];
	const struct layer_want want = {.chain = p->chains[i],
		.diff_id = layer->diff_id,
		.packing = layer->packing,
		.has_digest = 1,
		.digest = layer->digest};
	struct pull_layer *l = &p->layers[i];
	int r = layer_begin(&p->en->images, &want, &p->cancel, &l->writer, e);

	if (r != 0) {
		if (r > 0)
			atomic_store(&l->step, STEP_COMPLETE);
		return r < 0 ? r : 0;
	}
	atomic_store(&l->step, STEP_DOWNLOADING);
	r = fill(l, t, &layer->digest, e);
	if (r < 0) {
		layer_drop(&l->writer);
		return r;
	}
	atomic_store(&l->step, STEP_EXTRACTING);
	r = layer_end(&l->writer, e);
	if (r == 0)
		atomic_store(&l->step, STEP_COMPLETE);
	return r;
}

/* The next layer to fetch, or n_layers. */
static size_t take_next(struct pull *p)
{
	size_t i;

	pthread_mutex_lock(&p->lock);
	while (p->next < p->image.n_layers && p->layers[p->next].here)
		p->next++;
	i = p->next;
	if (i < p->image.n_layers)
		p->next++;
	pthread_mutex_unlock(&p->lock);
	return i;
}

static void *fetch_layers(void *arg)
{
	struct pull *p = arg;
	struct transfer t;
	struct err e = {0};
	int r = transfer_open(&t, &p->registry.ep.host, &e);
	size_t i;

	while (r == 0 && (i = take_next(p)) < p->image.n_layers) {
		r = fetch(p, i, &t, &e);
		if (r < 0 && r != -ECANCELED)
			err_wrap(&e, "layer %s", p->layers[i].id);
	}
	transfer_close(&t);
	pthread_mutex_lock(&p->lock);
	if (r < 0 && !p->failed.code)
		p->failed = e;
	if (r < 0)
		atomic_store(&p->cancel, true);
	p->running--;
	pthread_cond_signal(&p->changed);
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static void tell_all(struct pull *p)
{
	for (size_t i = 0; i < p->image.n_layers; i++)
		tell(&p->layers[i]);
}

/* Tell of the threads' work until they are through. */
static void watch(struct pull *p)
{
	pthread_mutex_lock(&p->lock);
	while (p->running) {
		struct timespec end;

		clock_gettime(CLOCK_REALTIME, &end);
		end.tv_nsec += PROGRESS_MS * 1000000L;
		end.tv_sec += end.tv_nsec / 1000000000L;
		end.tv_nsec %= 1000000000L;
		(void)pthread_cond_timedwait(&p->changed, &p->lock, &end);
		pthread_mutex_unlock(&p->lock);
		tell_all(p);
		if (p->progress->gone(p->progress->arg))
			atomic_store(&p->cancel, true);
		pthread_mutex_lock(&p->lock);
	}
	pthread_mutex_unlock(&p->lock);
	tell_all(p);
}

/* Say what there is to do, and hold it. Returns how many layers are to be fetched, or -errno. */
static int prepare(struct pull *p, struct err *e)
{
	const struct image *image = &p->image;
	int missing = 0;

	p->chains = calloc(image->n_layers + 1, sizeof(*p->chains));
	p->layers = calloc(image->n_layers + 1, sizeof(*p->layers));
	if (!p->chains || !p->layers)
		return err_set(e, ENOMEM, "out of memory");
	for (size_t i = 0; i < image->n_layers; i++) {
		struct pull_layer *l = &p->layers[i];
		int r = layer_chain(
			i ? &p->chains[i - 1] : NULL, &image->layers[i].diff_id, &p->chains[i]);

		if (r < 0)
			return err_set(e, -r, "out of memory");
		r = layer_hold(&p->en->images, &p->chains[i], e);
		if (r < 0)
			return r;
		p->n_held++;
		r = layer_exists(&p->en->images, &p->chains[i], e);
		if (r < 0)
			return r;
		l->pull = p;
		l->here = r > 0;
		l->size = image->layers[i].size;
		(void)snprintf(l->id, sizeof(l->id), "%.12s", digest_hex(&image->layers[i].digest));
		missing += !l->here;
		atomic_store(&l->step, l->here			 ? STEP_EXISTS
				       : missing > TRANSFERS_MAX ? STEP_WAITING
								 : STEP_PULLING);
	}
	tell_all(p);
	return missing;
}

int pull_layers(struct pull *p, struct err *e)
{
	pthread_t threads[TRANSFERS_MAX];
	pthread_attr_t attr;
	unsigned started = 0;
	int r = prepare(p, e);
	unsigned wanted = r > TRANSFERS_MAX ? TRANSFERS_MAX : r > 0 ? (unsigned)r : 0;

	if (r <= 0)
		return r;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->changed, NULL);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, FETCH_STACK_BYTES);
	r = 0;
	p->running = wanted;
	for (; started < wanted && r == 0; started += r == 0)
		r = pthread_create(&threads[started], &attr, fetch_layers, p);
	pthread_attr_destroy(&attr);
	if (r != 0) {
		/* Those that run do the work; without any there is none. */
		pthread_mutex_lock(&p->lock);
		p->running -= wanted - started;
		if (!started)
			err_set(&p->failed, r, "start a thread: %s", strerror(r));
		pthread_mutex_unlock(&p->lock);
	}
	watch(p);
	for (unsigned i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	pthread_cond_destroy(&p->changed);
	pthread_mutex_destroy(&p->lock);
	if (p->failed.code)
		*e = p->failed;
	return -p->failed.code;
}

void pull_layers_release(struct pull *p)
{
	layer_release(&p->en->images, p->chains, p->n_held);
	free(p->chains);
	free(p->layers);
	p->chains = NULL;
	p->layers = NULL;
	p->n_held = 0;
}
