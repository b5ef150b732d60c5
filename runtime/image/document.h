/* A JSON document of an image together with everything that reading it allocates. */
#ifndef SAMPAN_IMAGE_DOCUMENT_H
#define SAMPAN_IMAGE_DOCUMENT_H

#include "lib/util/json.h"

/* Refers to itself: not to be copied or moved. */
struct document {
	char *text;
	yyjson_doc *doc;
	struct arena arena;
	struct json_ctx ctx; /* keys that we do not know are ignored, as image-spec asks */
	struct json_at root;
};

/*
 * Parse a document.
 * @text: malloc'd, @len bytes and YYJSON_PADDING_SIZE more; taken over, also on failure
 * @name: for errors
 * Returns 0 or -errno. After 0 the caller owes document_free.
 */
int document_parse(struct document *d, char *text, size_t len, const char *name, struct err *e);

/* The same for a text that is copied first. */
int document_parse_copy(
	struct document *d, const char *text, size_t len, const char *name, struct err *e);

/* Free a document; one that is all zero is allowed. */
void document_free(struct document *d);

#endif
