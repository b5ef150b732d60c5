/* Images from registries and to them. */
#ifndef SAMPAN_ENGINE_PULL_H
#define SAMPAN_ENGINE_PULL_H

#include "runtime/engine/engine.h"
#include "runtime/engine/progress.h"
#include "runtime/registry/registry.h"

/* layers of one image that are fetched or sent at a time; Docker's number for fetching */
#define TRANSFERS_MAX 3

/*
 * Pull one image.
 * @ref: with a tag or digest
 * @creds: NULL for none
 * Returns 0 or -errno; nothing was told to @progress before an error that is the registry's answer
 * to the name.
 */
int image_pull(struct engine *en, const struct reference *ref, const struct platform *platform,
	const struct credentials *creds, const struct progress *progress, struct err *e);

/* Push the image that @ref names, with its tag. */
int image_push(struct engine *en, const struct reference *ref, const struct credentials *creds,
	const struct progress *progress, struct err *e);

/* A manifest as the registry has it, for whoever asks: as registry_get_manifest. */
int image_lookup(struct engine *en, const struct reference *ref, const struct credentials *creds,
	struct registry_manifest *ret, struct err *e);

/*
 * Open @ref's repository at the first endpoint that has it, and get its manifest.
 * @cancel: gives up
 * Returns 0 or -errno in Docker's words. After 0 the caller owes registry_close, transfer_close and
 * the manifest's text.
 */
int pull_resolve(struct engine *en, const struct reference *ref, const struct credentials *creds,
	const atomic_bool *cancel, struct registry *reg, struct transfer *t,
	struct registry_manifest *ret, struct err *e);

/* Tell an event of an image, as Docker names them. */
void pull_tell(struct engine *en, const struct reference *ref, const char *action);

/* The name with its tag or digest, as Docker shows it. */
void reference_print(const struct reference *ref, char *buf, size_t size);

#endif
