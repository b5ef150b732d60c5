#include "runtime/oci/config.h"
#include "runtime/oci/limits.h"

#include <linux/bpf.h>
#include <string.h>

#define RES(member) (offsetof(struct config, resources) + offsetof(struct config_resources, member))
#define RULE(member) offsetof(struct config_device_rule, member)
#define RATE(member) offsetof(struct config_io_rate, member)

static int check_rule_type(const struct json_at *at, void *out, struct err *e)
{
	struct config_device_rule *rule = out;

	if (rule->type_name[0] == '\0')
		return 0;
	if (strlen(rule->type_name) != 1 || !strchr("abc", rule->type_name[0]))
		return json_err(at, EINVAL, e, "expected a, b or c, got \"%s\"", rule->type_name);
	rule->type = rule->type_name[0];
	return 0;
}

static int check_rule_access(const struct json_at *at, void *out, struct err *e)
{
	struct config_device_rule *rule = out;

	for (const char *p = rule->access_name; *p; p++) {
		if (*p == 'r')
			rule->access |= BPF_DEVCG_ACC_READ;
		else if (*p == 'w')
			rule->access |= BPF_DEVCG_ACC_WRITE;
		else if (*p == 'm')
			rule->access |= BPF_DEVCG_ACC_MKNOD;
		else
			return json_err(at, EINVAL, e, "expected letters of rwm, got \"%s\"",
				rule->access_name);
	}
	return 0;
}

static const struct json_field rule_fields[] = {
	{"allow", JSON_BOOL, NULL, RULE(allow), JSON_REQUIRED},
	{"type", JSON_STR, check_rule_type, RULE(type_name), 0},
	{"major", JSON_OPT_I64, NULL, RULE(major_given), 0},
	{"minor", JSON_OPT_I64, NULL, RULE(minor_given), 0},
	{"access", JSON_STR, check_rule_access, RULE(access_name), 0},
};

static int read_rule(const struct json_at *at, void *out, struct err *e)
{
	const unsigned all = BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE | BPF_DEVCG_ACC_MKNOD;
	struct config_device_rule *rule = out;
	int r;

	rule->type = 'a';
	r = json_object(at, FIELDS(rule_fields), rule, e);
	if (r < 0)
		return r;
	rule->major = rule->major_given.set ? rule->major_given.v : -1;
	rule->minor = rule->minor_given.set ? rule->minor_given.v : -1;
	if (rule->major < -1 || rule->major > UINT32_MAX || rule->minor < -1 ||
		rule->minor > UINT32_MAX)
		return json_err(at, ERANGE, e, "a device number is -1 (any) or 32 bits");
	if (!rule->access_name || rule->access == 0)
		rule->access = all;
	return 0;
}

static int read_rules(const struct json_at *at, void *out, struct err *e)
{
	struct config_resources *res = &((struct config *)out)->resources;
	void *items;
	int r;

	if (yyjson_arr_size(at->val) > OCI_DEVICE_RULES_MAX)
		return json_err(at, E2BIG, e, "more than %d rules", OCI_DEVICE_RULES_MAX);
	r = json_array(
		at, sizeof(struct config_device_rule), read_rule, &items, &res->n_devices, e);
	res->devices = r == 0 ? items : NULL;
	return r;
}

static const struct json_field memory_fields[] = {
	{"limit", JSON_OPT_I64, NULL, RES(memory_limit), 0},
	{"reservation", JSON_OPT_I64, NULL, RES(memory_reservation), 0},
	{"swap", JSON_OPT_I64, NULL, RES(memory_swap), 0},
	{"kernel", JSON_OPT_I64, NULL, RES(memory_kernel), 0},
	{"kernelTCP", JSON_OPT_I64, NULL, RES(memory_kernel_tcp), 0},
	{"swappiness", JSON_OPT_U64, NULL, RES(memory_swappiness), 0},
	{"disableOOMKiller", JSON_BOOL, NULL, RES(memory_disable_oom_killer), 0},
	{"useHierarchy", JSON_IGNORE, NULL, 0, 0}, /* cgroup v2 has nothing else */
	{"checkBeforeUpdate", JSON_BOOL, NULL, RES(memory_check_before_update), 0},
};

static int read_memory(const struct json_at *at, void *out, struct err *e)
{
	return json_object(at, FIELDS(memory_fields), out, e);
}

static const struct json_field cpu_fields[] = {
	{"shares", JSON_OPT_U64, NULL, RES(cpu_shares), 0},
	{"quota", JSON_OPT_I64, NULL, RES(cpu_quota), 0},
	{"period", JSON_OPT_U64, NULL, RES(cpu_period), 0},
	{"burst", JSON_OPT_U64, NULL, RES(cpu_burst), 0},
	{"idle", JSON_OPT_I64, NULL, RES(cpu_idle), 0},
	{"realtimePeriod", JSON_OPT_U64, NULL, RES(cpu_rt_period), 0},
	{"realtimeRuntime", JSON_OPT_I64, NULL, RES(cpu_rt_runtime), 0},
	{"cpus", JSON_STR, NULL, RES(cpu_cpus), 0},
	{"mems", JSON_STR, NULL, RES(cpu_mems), 0},
};

static int read_cpu(const struct json_at *at, void *out, struct err *e)
{
	return json_object(at, FIELDS(cpu_fields), out, e);
}

static const struct json_field pids_fields[] = {
	{"limit", JSON_OPT_I64, NULL, RES(pids_limit), JSON_REQUIRED},
};

static int read_pids(const struct json_at *at, void *out, struct err *e)
{
	return json_object(at, FIELDS(pids_fields), out, e);
}

static const struct json_field rate_fields[] = {
	{"major", JSON_OPT_I64, NULL, RATE(major), JSON_REQUIRED},
	{"minor", JSON_OPT_I64, NULL, RATE(minor), JSON_REQUIRED},
	{"rate", JSON_OPT_U64, NULL, RATE(rate), 0},
	{"weight", JSON_OPT_U64, NULL, RATE(weight), 0},
	{"leafWeight", JSON_OPT_U64, NULL, RATE(leaf_weight), 0},
};

static int read_rate(const struct json_at *at, void *out, struct err *e)
{
	return json_object(at, FIELDS(rate_fields), out, e);
}

static const struct {
	const char *key;
	size_t offset; /* of the struct config_io_rates */
} rate_lists[] = {
	{"weightDevice", RES(io_weights)},
	{"throttleReadBpsDevice", RES(io_rates[IO_READ_BPS])},
	{"throttleWriteBpsDevice", RES(io_rates[IO_WRITE_BPS])},
	{"throttleReadIOPSDevice", RES(io_rates[IO_READ_IOPS])},
	{"throttleWriteIOPSDevice", RES(io_rates[IO_WRITE_IOPS])},
};

static int read_rates(const struct json_at *at, void *out, struct err *e)
{
	struct config_io_rates rates = {0};
	void *items;
	int r = json_array(at, sizeof(struct config_io_rate), read_rate, &items, &rates.n, e);

	if (r < 0)
		return r;
	rates.v = items;
	for (size_t i = 0; i < sizeof(rate_lists) / sizeof(rate_lists[0]); i++) {
		if (strcmp(at->key, rate_lists[i].key) == 0)
			memcpy((char *)out + rate_lists[i].offset, &rates, sizeof(rates));
	}
	return 0;
}

static const struct json_field io_fields[] = {
	{"weight", JSON_OPT_U64, NULL, RES(io_weight), 0},
	{"leafWeight", JSON_OPT_U64, NULL, RES(io_leaf_weight), 0},
	{"weightDevice", JSON_ARRAY, read_rates, 0, 0},
	{"throttleReadBpsDevice", JSON_ARRAY, read_rates, 0, 0},
	{"throttleWriteBpsDevice", JSON_ARRAY, read_rates, 0, 0},
	{"throttleReadIOPSDevice", JSON_ARRAY, read_rates, 0, 0},
	{"throttleWriteIOPSDevice", JSON_ARRAY, read_rates, 0, 0},
};

static int read_io(const struct json_at *at, void *out, struct err *e)
{
	return json_object(at, FIELDS(io_fields), out, e);
}

/* "2MB": the schema's ^[1-9][0-9]*[KMG]B$, which is also how the kernel names its files. */
static int check_page_size(const struct json_at *at, void *out, struct err *e)
{
	const char *s = ((struct config_hugepage *)out)->page_size;
	size_t digits = strspn(s, "0123456789");

	if (digits == 0 || digits > 9 || s[0] == '0' || !s[digits] || !strchr("KMG", s[digits]) ||
		strcmp(s + digits + 1, "B") != 0)
		return json_err(at, EINVAL, e, "expected a size like 2MB, got \"%s\"", s);
	return 0;
}

static const struct json_field hugepage_fields[] = {
	{"pageSize", JSON_STR, check_page_size, offsetof(struct config_hugepage, page_size),
		JSON_REQUIRED},
	{"limit", JSON_OPT_U64, NULL, offsetof(struct config_hugepage, limit), JSON_REQUIRED},
};

static int read_hugepage(const struct json_at *at, void *out, struct err *e)
{
	return json_object(at, FIELDS(hugepage_fields), out, e);
}

static int read_hugepages(const struct json_at *at, void *out, struct err *e)
{
	struct config_resources *res = &((struct config *)out)->resources;
	void *items;
	int r = json_array(
		at, sizeof(struct config_hugepage), read_hugepage, &items, &res->n_hugepages, e);

	res->hugepages = r == 0 ? items : NULL;
	return r;
}

static int check_u32(const struct json_at *at, void *out, struct err *e)
{
	uint64_t v;

	(void)out;
	return json_u64(at, UINT32_MAX, &v, e);
}

static const struct json_field rdma_fields[] = {
	{"hcaHandles", JSON_OPT_U64, check_u32, offsetof(struct config_rdma, handles), 0},
	{"hcaObjects", JSON_OPT_U64, check_u32, offsetof(struct config_rdma, objects), 0},
};

static int read_rdma(const struct json_at *at, void *out, struct err *e)
{
	struct config_resources *res = &((struct config *)out)->resources;
	yyjson_obj_iter it;
	yyjson_val *key;
	int r = 0;

	res->rdma = arena_calloc(at->ctx->arena, yyjson_obj_size(at->val) + 1, sizeof(*res->rdma));
	if (!res->rdma)
		return json_err(at, ENOMEM, e, "out of memory");
	yyjson_obj_iter_init(at->val, &it);
	while (r == 0 && (key = yyjson_obj_iter_next(&it))) {
		struct config_rdma *d = &res->rdma[res->n_rdma++];
		struct json_at item = {.val = yyjson_obj_iter_get_val(key),
			.up = at,
			.key = yyjson_get_str(key),
			.ctx = at->ctx};

		d->device = item.key;
		r = json_object(&item, FIELDS(rdma_fields), d, e);
	}
	return r;
}

static int note_priorities(const struct json_at *at, void *out, struct err *e)
{
	struct config *c = out;

	(void)e;
	c->resources.net_priorities = yyjson_arr_size(at->val) > 0;
	return 0;
}

static const struct json_field network_fields[] = {
	{"classID", JSON_OPT_U64, check_u32, RES(net_class_id), 0},
	{"priorities", JSON_ARRAY, note_priorities, 0, 0},
};

static int read_network(const struct json_at *at, void *out, struct err *e)
{
	return json_object(at, FIELDS(network_fields), out, e);
}

static int read_unified(const struct json_at *at, void *out, struct err *e)
{
	struct config *c = out;

	return config_read_pairs(at, &c->resources.unified, e);
}

static const struct json_field resources_fields[] = {
	{"devices", JSON_ARRAY, read_rules, 0, 0},
	{"memory", JSON_OBJECT, read_memory, 0, 0},
	{"cpu", JSON_OBJECT, read_cpu, 0, 0},
	{"pids", JSON_OBJECT, read_pids, 0, 0},
	{"blockIO", JSON_OBJECT, read_io, 0, 0},
	{"hugepageLimits", JSON_ARRAY, read_hugepages, 0, 0},
	{"rdma", JSON_OBJECT, read_rdma, 0, 0},
	{"network", JSON_OBJECT, read_network, 0, 0},
	{"unified", JSON_OBJECT, read_unified, 0, 0},
};

int config_read_resources(const struct json_at *at, void *config, struct err *e)
{
	return json_object(at, FIELDS(resources_fields), config, e);
}
