/* The processes of a container. */
#include "runtime/engine/top.h"

#include "runtime/api/routes.h"

int api_container_top(struct call *c, struct err *e)
{
	const char *ps_args = query_str(&c->query, "ps_args");
	struct container *one;
	yyjson_mut_doc *doc;
	yyjson_mut_val *top;
	int r = container_get(c->engine, c->params[0], &one, e);

	if (r < 0)
		return r;
	doc = yyjson_mut_doc_new(NULL);
	top = yyjson_mut_obj(doc);
	yyjson_mut_doc_set_root(doc, top);
	r = container_top(c->engine, one, ps_args && ps_args[0] ? ps_args : "-ef", doc, top, e);
	container_put(one);
	if (r == 0)
		return call_reply(c, 200, doc, e);
	yyjson_mut_doc_free(doc);
	return r;
}
