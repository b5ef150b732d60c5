/* The networks "none" and "host", and what containers have of them. */
#include "runtime/api/networks.h"

#include "runtime/api/filters.h"
#include "runtime/api/routes.h"

#include "runtime/engine/networks.h"
#include "runtime/engine/spec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of an endpoint without an address. */
static const struct {
	const char *key;
	enum { NET_STR, NET_INT, NET_NULL } kind;
} endpoint_members[] = {
	{"IPAMConfig", NET_NULL},
	{"Links", NET_NULL},
	{"Aliases", NET_NULL},
	{"MacAddress", NET_STR},
	{"DriverOpts", NET_NULL},
	{"GwPriority", NET_INT},
	{"NetworkID", NET_STR},
	{"EndpointID", NET_STR},
	{"Gateway", NET_STR},
	{"IPAddress", NET_STR},
	{"IPPrefixLen", NET_INT},
	{"IPv6Gateway", NET_STR},
	{"GlobalIPv6Address", NET_STR},
	{"GlobalIPv6PrefixLen", NET_INT},
	{"DNSNames", NET_NULL},
};

static yyjson_mut_val *networks_of(struct engine *en, yyjson_mut_doc *doc,
	const struct container *c, const struct container_state *s)
{
	const struct network *net = network_of(c);
	yyjson_mut_val *networks = yyjson_mut_obj(doc);
	char id[CONTAINER_ID_BYTES] = "";
	char endpoint[CONTAINER_ID_BYTES];
	yyjson_mut_val *one;

	if (!net)
		return networks;
	/* Docker knows the network from the first start on. */
	if (s->started_ns)
		network_id(en, net, id);
	network_endpoint_id(c, s, endpoint);
	one = yyjson_mut_obj_add_obj(doc, networks, net->name);
	for (size_t i = 0; i < sizeof(endpoint_members) / sizeof(endpoint_members[0]); i++) {
		const char *key = endpoint_members[i].key;
		const char *text = strcmp(key, "NetworkID") == 0    ? id
				   : strcmp(key, "EndpointID") == 0 ? endpoint
								    : "";

		if (endpoint_members[i].kind == NET_NULL)
			yyjson_mut_obj_add_null(doc, one, key);
		else if (endpoint_members[i].kind == NET_INT)
			yyjson_mut_obj_add_int(doc, one, key, 0);
		else
			yyjson_mut_obj_add_strcpy(doc, one, key, text);
	}
	return networks;
}

yyjson_mut_val *network_summary(struct engine *en, yyjson_mut_doc *doc, const struct container *c,
	const struct container_state *s)
{
	yyjson_mut_val *o = yyjson_mut_obj(doc);

	yyjson_mut_obj_add_val(doc, o, "Networks", networks_of(en, doc, c, s));
	return o;
}

yyjson_mut_val *network_settings(struct engine *en, yyjson_mut_doc *doc, const struct container *c,
	const struct container_state *s)
{
	static const char *const texts[] = {"EndpointID", "Gateway", "GlobalIPv6Address",
		"IPAddress", "IPv6Gateway", "MacAddress"};
	static const char *const numbers[] = {"GlobalIPv6PrefixLen", "IPPrefixLen"};
	yyjson_mut_val *o = yyjson_mut_obj(doc);
	char sandbox[CONTAINER_ID_BYTES];
	char key[64] = "";

	network_sandbox_id(c, s, sandbox);
	/* Where Docker keeps a namespace's file for tools to enter, the process's own serves. */
	if (sandbox[0])
		(void)snprintf(key, sizeof(key), "/proc/%d/ns/net", s->pid);
	yyjson_mut_obj_add_str(doc, o, "Bridge", "");
	yyjson_mut_obj_add_strcpy(doc, o, "SandboxID", sandbox);
	yyjson_mut_obj_add_strcpy(doc, o, "SandboxKey", key);
	yyjson_mut_obj_add_val(doc, o, "Ports", yyjson_mut_obj(doc));
	yyjson_mut_obj_add_bool(doc, o, "HairpinMode", false);
	yyjson_mut_obj_add_str(doc, o, "LinkLocalIPv6Address", "");
	yyjson_mut_obj_add_int(doc, o, "LinkLocalIPv6PrefixLen", 0);
	yyjson_mut_obj_add_null(doc, o, "SecondaryIPAddresses");
	yyjson_mut_obj_add_null(doc, o, "SecondaryIPv6Addresses");
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		yyjson_mut_obj_add_str(doc, o, texts[i], "");
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		yyjson_mut_obj_add_int(doc, o, numbers[i], 0);
	yyjson_mut_obj_add_val(doc, o, "Networks", networks_of(en, doc, c, s));
	return o;
}

/* The running containers in @net; returns how many. @out: NULL: only counted */
static size_t add_members(
	struct engine *en, const struct network *net, yyjson_mut_doc *doc, yyjson_mut_val *out)
{
	static const char *const empty[] = {"MacAddress", "IPv4Address", "IPv6Address"};
	struct container **list = container_list(en);
	size_t n = 0;

	for (size_t i = 0; list && list[i]; i++) {
		struct container_state s = container_state(en, list[i]);
		char endpoint[CONTAINER_ID_BYTES];

		if (container_runs(&s) && network_of(list[i]) == net) {
			n++;
			if (out) {
				yyjson_mut_val *o = yyjson_mut_obj(doc);

				network_endpoint_id(list[i], &s, endpoint);
				yyjson_mut_obj_add_strcpy(doc, o, "Name", list[i]->name);
				yyjson_mut_obj_add_strcpy(doc, o, "EndpointID", endpoint);
				for (size_t k = 0; k < 3; k++)
					yyjson_mut_obj_add_str(doc, o, empty[k], "");
				yyjson_mut_obj_add(out, yyjson_mut_strcpy(doc, list[i]->id), o);
			}
		}
		container_put(list[i]);
	}
	free(list);
	return n;
}

static yyjson_mut_val *network_shown(
	struct call *c, yyjson_mut_doc *doc, const struct network *net, bool with_members)
{
	yyjson_mut_val *o = yyjson_mut_obj(doc);
	yyjson_mut_val *ipam, *from;
	char id[CONTAINER_ID_BYTES];
	char at[40];

	network_id(c->engine, net, id);
	time_print(network_created_ns(c->engine), at, sizeof(at));
	yyjson_mut_obj_add_str(doc, o, "Name", net->name);
	yyjson_mut_obj_add_strcpy(doc, o, "Id", id);
	yyjson_mut_obj_add_strcpy(doc, o, "Created", at);
	yyjson_mut_obj_add_str(doc, o, "Scope", "local");
	yyjson_mut_obj_add_str(doc, o, "Driver", net->driver);
	if (c->minor >= 48)
		yyjson_mut_obj_add_bool(doc, o, "EnableIPv4", true);
	yyjson_mut_obj_add_bool(doc, o, "EnableIPv6", false);
	ipam = yyjson_mut_obj_add_obj(doc, o, "IPAM");
	yyjson_mut_obj_add_str(doc, ipam, "Driver", "default");
	yyjson_mut_obj_add_null(doc, ipam, "Options");
	yyjson_mut_obj_add_null(doc, ipam, "Config");
	yyjson_mut_obj_add_bool(doc, o, "Internal", false);
	yyjson_mut_obj_add_bool(doc, o, "Attachable", false);
	yyjson_mut_obj_add_bool(doc, o, "Ingress", false);
	from = yyjson_mut_obj_add_obj(doc, o, "ConfigFrom");
	yyjson_mut_obj_add_str(doc, from, "Network", "");
	yyjson_mut_obj_add_bool(doc, o, "ConfigOnly", false);
	from = yyjson_mut_obj_add_obj(doc, o, "Containers");
	if (with_members)
		(void)add_members(c->engine, net, doc, from);
	yyjson_mut_obj_add_val(doc, o, "Options", yyjson_mut_obj(doc));
	yyjson_mut_obj_add_val(doc, o, "Labels", yyjson_mut_obj(doc));
	return o;
}

struct subject {
	const struct network *net;
	char id[CONTAINER_ID_BYTES];
};

static bool name_has(void *arg, const char *value)
{
	return filter_part(((struct subject *)arg)->net->name, value);
}

static bool id_has(void *arg, const char *value)
{
	return filter_part(((struct subject *)arg)->id, value);
}

/* A word that is neither of the two. */
static bool is_no_type(void *arg, const char *value)
{
	(void)arg;
	return strcmp(value, "builtin") != 0 && strcmp(value, "custom") != 0;
}

static bool network_fits(struct call *c, const struct filters *f, const struct network *net)
{
	struct subject sub = {.net = net};

	network_id(c->engine, net, sub.id);
	/* They come with the engine: they have no labels and are never left over. */
	return filters_match(f, "driver", net->driver) && filters_match(f, "scope", "local") &&
	       filters_match(f, "type", "builtin") && filters_any(f, "name", name_has, &sub) &&
	       filters_any(f, "id", id_has, &sub) && filters_labels(f, "label", NULL);
}

int api_network_list(struct call *c, struct err *e)
{
	static const char *const known[] = {
		"dangling", "driver", "id", "label", "name", "scope", "type", NULL};
	yyjson_mut_doc *doc;
	yyjson_mut_val *out;
	const struct network *net;
	struct filters f;
	bool dangling = false;
	int r = filters_read(&f, c, known, e);

	if (r < 0)
		return r;
	r = filters_bool(&f, "dangling", &dangling, e);
	if (r == 0 && filters_have(&f, "type") && filters_any(&f, "type", is_no_type, NULL))
		r = err_set(e, EINVAL, "invalid filter: 'type' is builtin or custom");
	if (r < 0) {
		filters_free(&f);
		return r;
	}
	doc = yyjson_mut_doc_new(NULL);
	out = yyjson_mut_arr(doc);
	yyjson_mut_doc_set_root(doc, out);
	for (size_t i = 0; !dangling && (net = network_at(i)); i++)
		if (network_fits(c, &f, net))
			yyjson_mut_arr_append(out, network_shown(c, doc, net, false));
	filters_free(&f);
	return call_reply(c, 200, doc, e);
}

static int find(struct call *c, const struct network **ret, struct err *e)
{
	*ret = network_find(c->engine, c->params[0]);
	return *ret ? 0 : err_set(e, ENOENT, "network %.200s not found", c->params[0]);
}

int api_network_inspect(struct call *c, struct err *e)
{
	const struct network *net;
	yyjson_mut_doc *doc;
	int r = find(c, &net, e);

	if (r < 0)
		return r;
	doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_doc_set_root(doc, network_shown(c, doc, net, true));
	return call_reply(c, 200, doc, e);
}

int api_network_create(struct call *c, struct err *e)
{
	yyjson_doc *body = NULL;
	int r = call_read_json(c, false, &body, e);
	const char *name = spec_str(yyjson_doc_get_root(body), "Name");

	if (r == 0 && network_find(c->engine, name))
		r = err_set(
			e, EPERM, "operation is not permitted on predefined %.64s network", name);
	else if (r == 0)
		r = err_set(e, ENOTSUP,
			"network \"%.64s\" cannot be created: only the networks none and host are "
			"served yet",
			name);
	yyjson_doc_free(body);
	return r;
}

int api_network_attach(struct call *c, struct err *e)
{
	const struct network *net;
	int r = find(c, &net, e);

	return r < 0 ? r
		     : err_set(e, ENOTSUP,
			       "network \"%s\": connecting and disconnecting containers is not "
			       "served yet: their network is chosen when they are created",
			       net->name);
}

int api_network_remove(struct call *c, struct err *e)
{
	const struct network *net;
	int r = find(c, &net, e);

	return r < 0 ? r
		     : err_set(e, EPERM, "%s is a pre-defined network and cannot be removed",
			       net->name);
}

int api_network_prune(struct call *c, struct err *e)
{
	static const char *const known[] = {"label", "label!", "until", NULL};
	yyjson_mut_doc *doc;
	yyjson_mut_val *top;
	struct filters f;
	int r = filters_read(&f, c, known, e);

	if (r < 0)
		return r;
	filters_free(&f);
	doc = yyjson_mut_doc_new(NULL);
	top = yyjson_mut_obj(doc);
	yyjson_mut_doc_set_root(doc, top);
	yyjson_mut_obj_add_null(doc, top, "NetworksDeleted");
	return call_reply(c, 200, doc, e);
}
