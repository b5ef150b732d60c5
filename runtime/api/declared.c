/* The containers that the machine's image declares, as the API's objects. */
#include "runtime/api/declared.h"

#include "lib/base/log.h"
#include "lib/util/json.h"
#include "runtime/api/shape.h"
#include "runtime/engine/engine.h"
#include "runtime/engine/spec.h"

#include <stdio.h>
#include <string.h>

static yyjson_mut_val *copy(yyjson_mut_doc *doc, yyjson_val *val)
{
	return val ? yyjson_val_mut_copy(doc, val) : yyjson_mut_null(doc);
}

static bool has_network_of_its_own(yyjson_val *spec)
{
	yyjson_val *namespaces = yyjson_obj_get(yyjson_obj_get(spec, "linux"), "namespaces");
	yyjson_val *one;
	size_t i, n;

	yyjson_arr_foreach (namespaces, i, n, one) {
		if (strcmp(spec_str(one, "type"), "network") == 0)
			return true;
	}
	return false;
}

/* What a client would have asked for, had it made the container of this OCI configuration. */
static yyjson_doc *make_request(yyjson_val *spec, const char *name)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *top = yyjson_mut_obj(doc);
	yyjson_mut_val *host = yyjson_mut_obj(doc);
	yyjson_mut_val *restart = yyjson_mut_obj(doc);
	yyjson_mut_val *labels = copy(doc, yyjson_obj_get(spec, "annotations"));
	yyjson_val *process = yyjson_obj_get(spec, "process");
	yyjson_val *user = yyjson_obj_get(process, "user");
	char ids[48];
	yyjson_doc *whole;

	yyjson_mut_doc_set_root(doc, top);
	if (!yyjson_mut_is_obj(labels))
		labels = yyjson_mut_obj(doc);
	yyjson_mut_obj_add_str(doc, labels, "org.sampan.declared", "true");
	yyjson_mut_obj_add_str(doc, top, "Image", name);
	yyjson_mut_obj_add_val(doc, top, "Labels", labels);
	yyjson_mut_obj_add_val(doc, top, "Hostname", copy(doc, yyjson_obj_get(spec, "hostname")));
	yyjson_mut_obj_add_val(doc, top, "Cmd", copy(doc, yyjson_obj_get(process, "args")));
	yyjson_mut_obj_add_val(doc, top, "Env", copy(doc, yyjson_obj_get(process, "env")));
	yyjson_mut_obj_add_val(doc, top, "WorkingDir", copy(doc, yyjson_obj_get(process, "cwd")));
	(void)snprintf(ids, sizeof(ids), "%lld:%lld", (long long)spec_int(user, "uid"),
		(long long)spec_int(user, "gid"));
	yyjson_mut_obj_add_str(doc, top, "User", ids);
	yyjson_mut_obj_add_str(doc, restart, "Name", "always");
	yyjson_mut_obj_add_val(doc, host, "RestartPolicy", restart);
	yyjson_mut_obj_add_str(
		doc, host, "NetworkMode", has_network_of_its_own(spec) ? "none" : "host");
	yyjson_mut_obj_add_bool(doc, host, "ReadonlyRootfs",
		yyjson_get_bool(yyjson_obj_get(yyjson_obj_get(spec, "root"), "readonly")));
	yyjson_mut_obj_add_val(doc, top, "HostConfig", host);
	whole = yyjson_mut_doc_imut_copy(doc, NULL);
	yyjson_mut_doc_free(doc);
	return whole;
}

static yyjson_doc *make_record(yyjson_val *request, struct err *e)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *top = yyjson_mut_obj(doc);
	yyjson_mut_val *args = copy(doc, yyjson_obj_get(request, "Cmd"));
	yyjson_mut_val *path = yyjson_mut_arr_remove_first(args);
	yyjson_mut_val *config = shape_apply(doc, request, &shape_config, "", e);
	yyjson_mut_val *host = shape_apply(
		doc, yyjson_obj_get(request, "HostConfig"), &shape_host_config, "HostConfig", e);
	yyjson_doc *record = NULL;

	yyjson_mut_doc_set_root(doc, top);
	/* since the machine was booted */
	yyjson_mut_obj_add_int(doc, top, "Created", declared_realtime_ns(0));
	yyjson_mut_obj_add_str(doc, top, "Image", "");
	yyjson_mut_obj_add_val(doc, top, "Path", path ? path : yyjson_mut_str(doc, ""));
	yyjson_mut_obj_add_val(doc, top, "Args", args);
	yyjson_mut_obj_add_val(doc, top, "Config", config);
	yyjson_mut_obj_add_val(doc, top, "HostConfig", host);
	if (config && host)
		record = yyjson_mut_doc_imut_copy(doc, NULL);
	yyjson_mut_doc_free(doc);
	return record;
}

static int declare(struct engine *en, const struct init_service_info *info, struct err *e)
{
	char path[sizeof(info->bundle) + 16];
	yyjson_read_err why;
	yyjson_doc *spec, *request, *record = NULL;

	(void)snprintf(path, sizeof(path), "%s/config.json", info->bundle);
	spec = yyjson_read_file(path, 0, NULL, &why);
	if (!spec)
		return err_set(e, EINVAL, "%s: %s", path, why.msg);
	request = make_request(yyjson_doc_get_root(spec), info->h.id);
	if (request)
		record = make_record(yyjson_doc_get_root(request), e);
	yyjson_doc_free(request);
	yyjson_doc_free(spec);
	if (!record)
		return err_wrap(e, "%s", path);
	return container_declare(en, info->h.id, record, e);
}

int declared_load(struct engine *en, struct err *e)
{
	struct init_service_info info;
	int r;

	for (unsigned i = 0; (r = initlink_service(&en->init, NULL, i, &info, e)) == 0; i++) {
		struct err wrong = {0};

		if (info.bundle[0] && declare(en, &info, &wrong) < 0)
			log_error("declared container %s: %s", info.h.id, wrong.msg);
	}
	return r == -ENOENT ? 0 : r;
}
