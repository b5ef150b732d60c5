/* POST /containers/{id}/update. */
#include "runtime/api/routes.h"
#include "runtime/api/shape.h"

#include "runtime/engine/engine.h"

int api_container_update(struct call *c, struct err *e)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *top = yyjson_mut_obj(doc);
	const struct warnings said = {doc, yyjson_mut_arr(doc)};
	yyjson_mut_doc *shaped = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *change = NULL;
	yyjson_doc *whole = NULL;
	yyjson_doc *body = NULL;
	struct container *one;
	int r = container_get(c->engine, c->params[0], &one, e);

	if (r == 0) {
		r = call_read_json(c, false, &body, e);
		/* The same fields, by name and type; those that cannot change are not looked at. */
		change = r == 0 ? shape_apply(shaped, yyjson_doc_get_root(body), &shape_host_config,
					  "", e)
				: NULL;
		if (r == 0 && !change)
			r = -e->code;
		if (r == 0) {
			yyjson_mut_doc_set_root(shaped, change);
			whole = yyjson_mut_doc_imut_copy(shaped, NULL);
			r = container_update(c->engine, one, yyjson_doc_get_root(whole), &said, e);
		}
		container_put(one);
	}
	yyjson_doc_free(whole);
	yyjson_doc_free(body);
	yyjson_mut_doc_free(shaped);
	if (r < 0) {
		yyjson_mut_doc_free(doc);
		return r;
	}
	yyjson_mut_doc_set_root(doc, top);
	yyjson_mut_obj_add_val(doc, top, "Warnings",
		yyjson_mut_arr_size(said.list) ? said.list : yyjson_mut_null(doc));
	return call_reply(c, 200, doc, e);
}
