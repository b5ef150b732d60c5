/* A registry's answer that is an error, as an error of ours. */
#include "lib/util/json.h"
#include "runtime/registry/registry.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
	const char *name; /* as the specification has it */
	enum registry_code code;
	int errnum;
	const char *words; /* when the registry gives none */
} codes[] = {
	{"DENIED", REGISTRY_DENIED, ENOENT, "requested access to the resource is denied"},
	{"MANIFEST_UNKNOWN", REGISTRY_MANIFEST_UNKNOWN, ENOENT, "manifest unknown"},
	{"NAME_UNKNOWN", REGISTRY_NAME_UNKNOWN, ENOENT, "repository name not known to registry"},
	{"UNAUTHORIZED", REGISTRY_UNAUTHORIZED, EACCES, "authentication required"},
};

/* "MANIFEST_UNKNOWN" → "manifest unknown" */
static void spoken(const char *code, char *buf, size_t size)
{
	size_t n = 0;

	for (; code[n] && n + 1 < size; n++)
		buf[n] = code[n] == '_' ? ' ' : (char)tolower((unsigned char)code[n]);
	buf[n] = '\0';
}

static int refuse(
	const char *code, const char *message, enum registry_code *ret_code, struct err *e)
{
	char words[64];
	int errnum = EIO;

	for (size_t i = 0; i < COUNT(codes); i++) {
		if (strcmp(codes[i].name, code) != 0)
			continue;
		errnum = codes[i].errnum;
		if (ret_code)
			*ret_code = codes[i].code;
		if (!message || !message[0])
			message = codes[i].words;
	}
	spoken(code, words, sizeof(words));
	return err_set(e, errnum, "%s: %.300s", words, message && message[0] ? message : words);
}

int registry_refusal(const struct transfer_answer *a, enum registry_code *ret_code, struct err *e)
{
	const struct challenge *c = &a->challenge;
	yyjson_doc *doc = NULL;
	yyjson_val *first;
	const char *code, *message, *details;
	int r;

	if (ret_code)
		*ret_code = REGISTRY_OTHER;
	if (a->status / 100 != 4)
		return err_set(e, EIO, "received unexpected HTTP status: %d", a->status);
	if (c->scheme == CHALLENGE_BEARER && strcmp(c->error, "insufficient_scope") == 0)
		return refuse("DENIED", c->description, ret_code, e);
	if (c->scheme == CHALLENGE_BEARER && strcmp(c->error, "invalid_token") == 0)
		return refuse("UNAUTHORIZED", c->description, ret_code, e);
	if (a->body.len)
		doc = yyjson_read(a->body.v, a->body.len, 0);
	first = yyjson_arr_get_first(yyjson_obj_get(yyjson_doc_get_root(doc), "errors"));
	code = yyjson_get_str(yyjson_obj_get(first, "code"));
	message = yyjson_get_str(yyjson_obj_get(first, "message"));
	details = yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(doc), "details"));
	if (code && code[0])
		r = refuse(code, message, ret_code, e);
	else if (a->status == 401)
		r = refuse("UNAUTHORIZED", details, ret_code, e);
	else if (a->status == 429)
		r = refuse("TOOMANYREQUESTS", details ? details : "too many requests", ret_code, e);
	else
		r = err_set(e, EIO, "error parsing HTTP %d response body: %.200s", a->status,
			details	      ? details
			: a->body.len ? a->body.v
				      : "it is empty");
	yyjson_doc_free(doc);
	return r;
}
