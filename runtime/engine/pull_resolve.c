/* From a name to a manifest: which registry, and what it says of the name. */
#include "runtime/engine/pull.h"

#include <stdio.h>
#include <string.h>

void reference_print(const struct reference *ref, char *buf, size_t size)
{
	char name[REFERENCE_BYTES_MAX];

	reference_familiar(ref, name, sizeof(name));
	if (ref->digest[0])
		(void)snprintf(buf, size, "%s@%s", name, ref->digest);
	else
		(void)snprintf(buf, size, "%s:%s", name, ref->tag[0] ? ref->tag : "latest");
}

/* Docker's words around the registry's refusal. */
static int word_refusal(const struct reference *ref, enum registry_code code, struct err *e)
{
	char name[REFERENCE_BYTES_MAX];
	char full[REFERENCE_BYTES_MAX];

	reference_familiar(ref, name, sizeof(name));
	reference_print(ref, full, sizeof(full));
	switch (code) {
	case REGISTRY_DENIED:
		return err_wrap(e,
			"pull access denied for %s, repository does not exist or may require "
			"'docker login'",
			name);
	case REGISTRY_MANIFEST_UNKNOWN:
		return err_wrap(e, "manifest for %s not found", full);
	case REGISTRY_NAME_UNKNOWN:
		return err_wrap(e, "repository %s not found", name);
	default:
		return -e->code;
	}
}

/* Ask one endpoint, which is taken over. *@ret_answered: it is a registry. */
static int ask(struct endpoint *ep, const struct reference *ref, const struct credentials *creds,
	const atomic_bool *cancel, struct registry *reg, struct transfer *t,
	struct registry_manifest *ret, bool *ret_answered, struct err *e)
{
	enum registry_code code = REGISTRY_OTHER;
	int r = registry_open(reg, ep, ref->path, "pull", creds, cancel, e);

	*ret_answered = r == 0;
	if (r < 0)
		return r;
	r = transfer_open(t, &reg->ep.host, e);
	if (r == 0) {
		r = registry_get_manifest(reg, t,
			ref->digest[0] ? ref->digest
			: ref->tag[0]  ? ref->tag
				       : "latest",
			ret, &code, e);
		if (r == 0)
			return 0;
		transfer_close(t);
	}
	registry_close(reg);
	return code == REGISTRY_OTHER ? r : word_refusal(ref, code, e);
}

int pull_resolve(struct engine *en, const struct reference *ref, const struct credentials *creds,
	const atomic_bool *cancel, struct registry *reg, struct transfer *t,
	struct registry_manifest *ret, struct err *e)
{
	int r = err_set(e, EIO, "no endpoint for %s", ref->domain);

	for (unsigned i = 0;; i++) {
		struct endpoint ep;
		bool answered;
		bool mirror;
		struct err last = {0};
		int got = endpoint_get(&en->registries, ref->domain, true, i, &ep, &last);

		if (got < 0) {
			*e = last;
			return got;
		}
		if (got == 0)
			return r;
		mirror = ep.mirror;
		r = ask(&ep, ref, creds, cancel, reg, t, ret, &answered, &last);
		if (r == 0)
			return 0;
		*e = last;
		/* A mirror need not have it; a registry that answers is the one. */
		if (r == -ECANCELED || (answered && !mirror))
			return r;
	}
}

int image_lookup(struct engine *en, const struct reference *ref, const struct credentials *creds,
	struct registry_manifest *ret, struct err *e)
{
	struct registry reg;
	struct transfer t;
	int r = pull_resolve(en, ref, creds, NULL, &reg, &t, ret, e);

	if (r < 0)
		return r;
	transfer_close(&t);
	registry_close(&reg);
	return 0;
}

void pull_tell(struct engine *en, const struct reference *ref, const char *action)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *attributes = yyjson_mut_obj(doc);
	char full[REFERENCE_BYTES_MAX];
	char name[REFERENCE_BYTES_MAX];

	reference_print(ref, full, sizeof(full));
	reference_familiar(ref, name, sizeof(name));
	yyjson_mut_obj_add_str(doc, attributes, "name", name);
	events_tell(&en->events, "image", action, full, attributes);
	yyjson_mut_doc_free(doc);
}
