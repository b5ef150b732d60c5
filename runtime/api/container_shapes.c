/*
 * The objects of a container as the API has them, in Docker's order and with its defaults.
 * Source: Docker Engine API v1.51, ContainerConfig, HostConfig, NetworkingConfig; what
 * `docker inspect` prints.
 */
#include "runtime/api/shape.h"

#define SHAPE(table)                                                                               \
	{                                                                                          \
		table, sizeof(table) / sizeof((table)[0])                                          \
	}

static const struct shape_field healthcheck_fields[] = {
	{"Test", SHAPE_STRV, NULL, NULL},
	{"Interval", SHAPE_INT, NULL, NULL},
	{"Timeout", SHAPE_INT, NULL, NULL},
	{"StartPeriod", SHAPE_INT, NULL, NULL},
	{"StartInterval", SHAPE_INT, NULL, NULL},
	{"Retries", SHAPE_INT, NULL, NULL},
};
static const struct shape healthcheck = SHAPE(healthcheck_fields);

static const struct shape_field config_fields[] = {
	{"Hostname", SHAPE_STR, "\"\"", NULL},
	{"Domainname", SHAPE_STR, "\"\"", NULL},
	{"User", SHAPE_STR, "\"\"", NULL},
	{"AttachStdin", SHAPE_BOOL, "false", NULL},
	{"AttachStdout", SHAPE_BOOL, "false", NULL},
	{"AttachStderr", SHAPE_BOOL, "false", NULL},
	{"ExposedPorts", SHAPE_SET, NULL, NULL},
	{"Tty", SHAPE_BOOL, "false", NULL},
	{"OpenStdin", SHAPE_BOOL, "false", NULL},
	{"StdinOnce", SHAPE_BOOL, "false", NULL},
	{"Env", SHAPE_STRV, "null", NULL},
	{"Cmd", SHAPE_WORDS, "null", NULL},
	{"Healthcheck", SHAPE_OBJ, NULL, &healthcheck},
	{"ArgsEscaped", SHAPE_BOOL, NULL, NULL},
	{"Image", SHAPE_STR, "\"\"", NULL},
	{"Volumes", SHAPE_SET, "null", NULL},
	{"WorkingDir", SHAPE_STR, "\"\"", NULL},
	{"Entrypoint", SHAPE_WORDS, "null", NULL},
	{"NetworkDisabled", SHAPE_BOOL, NULL, NULL},
	{"MacAddress", SHAPE_STR, NULL, NULL},
	{"OnBuild", SHAPE_STRV, "null", NULL},
	{"Labels", SHAPE_STR_MAP, "{}", NULL},
	{"StopSignal", SHAPE_STR, NULL, NULL},
	{"StopTimeout", SHAPE_INT, NULL, NULL},
	{"Shell", SHAPE_STRV, NULL, NULL},
};
const struct shape shape_config = SHAPE(config_fields);

static const struct shape_field log_config_fields[] = {
	{"Type", SHAPE_STR, "\"\"", NULL},
	{"Config", SHAPE_STR_MAP, "{}", NULL},
};
static const struct shape log_config = SHAPE(log_config_fields);

static const struct shape_field port_binding_fields[] = {
	{"HostIp", SHAPE_STR, "\"\"", NULL},
	{"HostPort", SHAPE_STR, "\"\"", NULL},
};
static const struct shape port_binding = SHAPE(port_binding_fields);

static const struct shape_field restart_policy_fields[] = {
	{"Name", SHAPE_STR, "\"\"", NULL},
	{"MaximumRetryCount", SHAPE_INT, "0", NULL},
};
static const struct shape restart_policy = SHAPE(restart_policy_fields);

static const struct shape_field weight_device_fields[] = {
	{"Path", SHAPE_STR, "\"\"", NULL},
	{"Weight", SHAPE_INT, "0", NULL},
};
static const struct shape weight_device = SHAPE(weight_device_fields);

static const struct shape_field rate_device_fields[] = {
	{"Path", SHAPE_STR, "\"\"", NULL},
	{"Rate", SHAPE_INT, "0", NULL},
};
static const struct shape rate_device = SHAPE(rate_device_fields);

static const struct shape_field device_fields[] = {
	{"PathOnHost", SHAPE_STR, "\"\"", NULL},
	{"PathInContainer", SHAPE_STR, "\"\"", NULL},
	{"CgroupPermissions", SHAPE_STR, "\"\"", NULL},
};
static const struct shape device = SHAPE(device_fields);

static const struct shape_field device_request_fields[] = {
	{"Driver", SHAPE_STR, "\"\"", NULL},
	{"Count", SHAPE_INT, "0", NULL},
	{"DeviceIDs", SHAPE_STRV, "null", NULL},
	{"Options", SHAPE_STR_MAP, "{}", NULL},
};
static const struct shape device_request = SHAPE(device_request_fields);

static const struct shape_field ulimit_fields[] = {
	{"Name", SHAPE_STR, "\"\"", NULL},
	{"Hard", SHAPE_INT, "0", NULL},
	{"Soft", SHAPE_INT, "0", NULL},
};
static const struct shape ulimit = SHAPE(ulimit_fields);

static const struct shape_field bind_options_fields[] = {
	{"Propagation", SHAPE_STR, NULL, NULL},
	{"NonRecursive", SHAPE_BOOL, NULL, NULL},
	{"CreateMountpoint", SHAPE_BOOL, NULL, NULL},
	{"ReadOnlyNonRecursive", SHAPE_BOOL, NULL, NULL},
	{"ReadOnlyForceRecursive", SHAPE_BOOL, NULL, NULL},
};
static const struct shape bind_options = SHAPE(bind_options_fields);

static const struct shape_field driver_config_fields[] = {
	{"Name", SHAPE_STR, NULL, NULL},
	{"Options", SHAPE_STR_MAP, NULL, NULL},
};
static const struct shape driver_config = SHAPE(driver_config_fields);

static const struct shape_field volume_options_fields[] = {
	{"NoCopy", SHAPE_BOOL, NULL, NULL},
	{"Labels", SHAPE_STR_MAP, NULL, NULL},
	{"Subpath", SHAPE_STR, NULL, NULL},
	{"DriverConfig", SHAPE_OBJ, NULL, &driver_config},
};
static const struct shape volume_options = SHAPE(volume_options_fields);

static const struct shape_field tmpfs_options_fields[] = {
	{"SizeBytes", SHAPE_INT, NULL, NULL},
	{"Mode", SHAPE_INT, NULL, NULL},
	{"Options", SHAPE_STRVS, NULL, NULL},
};
static const struct shape tmpfs_options = SHAPE(tmpfs_options_fields);

static const struct shape_field image_options_fields[] = {
	{"Subpath", SHAPE_STR, NULL, NULL},
};
static const struct shape image_options = SHAPE(image_options_fields);

static const struct shape_field mount_fields[] = {
	{"Type", SHAPE_STR, NULL, NULL},
	{"Source", SHAPE_STR, NULL, NULL},
	{"Target", SHAPE_STR, NULL, NULL},
	{"ReadOnly", SHAPE_BOOL, NULL, NULL},
	{"Consistency", SHAPE_STR, NULL, NULL},
	{"BindOptions", SHAPE_OBJ, NULL, &bind_options},
	{"VolumeOptions", SHAPE_OBJ, NULL, &volume_options},
	{"ImageOptions", SHAPE_OBJ, NULL, &image_options},
	{"TmpfsOptions", SHAPE_OBJ, NULL, &tmpfs_options},
};
static const struct shape mount_shape = SHAPE(mount_fields);

static const struct shape_field host_config_fields[] = {
	{"Binds", SHAPE_STRV, "null", NULL},
	{"ContainerIDFile", SHAPE_STR, "\"\"", NULL},
	{"LogConfig", SHAPE_OBJ, "{\"Type\":\"\",\"Config\":{}}", &log_config},
	{"NetworkMode", SHAPE_STR, "\"default\"", NULL},
	{"PortBindings", SHAPE_LISTS, "{}", &port_binding},
	{"RestartPolicy", SHAPE_OBJ, "{\"Name\":\"\",\"MaximumRetryCount\":0}", &restart_policy},
	{"AutoRemove", SHAPE_BOOL, "false", NULL},
	{"VolumeDriver", SHAPE_STR, "\"\"", NULL},
	{"VolumesFrom", SHAPE_STRV, "null", NULL},
	{"Mounts", SHAPE_LIST, NULL, &mount_shape},
	{"ConsoleSize", SHAPE_INTS, "[0,0]", NULL},
	{"Annotations", SHAPE_STR_MAP, NULL, NULL},
	{"CapAdd", SHAPE_STRV, "null", NULL},
	{"CapDrop", SHAPE_STRV, "null", NULL},
	{"CgroupnsMode", SHAPE_STR, "\"\"", NULL},
	{"Dns", SHAPE_STRV, "[]", NULL},
	{"DnsOptions", SHAPE_STRV, "[]", NULL},
	{"DnsSearch", SHAPE_STRV, "[]", NULL},
	{"ExtraHosts", SHAPE_STRV, "null", NULL},
	{"GroupAdd", SHAPE_STRV, "null", NULL},
	{"IpcMode", SHAPE_STR, "\"\"", NULL},
	{"Cgroup", SHAPE_STR, "\"\"", NULL},
	{"Links", SHAPE_STRV, "null", NULL},
	{"OomScoreAdj", SHAPE_INT, "0", NULL},
	{"PidMode", SHAPE_STR, "\"\"", NULL},
	{"Privileged", SHAPE_BOOL, "false", NULL},
	{"PublishAllPorts", SHAPE_BOOL, "false", NULL},
	{"ReadonlyRootfs", SHAPE_BOOL, "false", NULL},
	{"SecurityOpt", SHAPE_STRV, "null", NULL},
	{"StorageOpt", SHAPE_STR_MAP, NULL, NULL},
	{"Tmpfs", SHAPE_STR_MAP, NULL, NULL},
	{"UTSMode", SHAPE_STR, "\"\"", NULL},
	{"UsernsMode", SHAPE_STR, "\"\"", NULL},
	{"ShmSize", SHAPE_INT, "67108864", NULL},
	{"Sysctls", SHAPE_STR_MAP, NULL, NULL},
	{"Runtime", SHAPE_STR, "\"\"", NULL},
	{"Isolation", SHAPE_STR, "\"\"", NULL},
	{"CpuShares", SHAPE_INT, "0", NULL},
	{"Memory", SHAPE_INT, "0", NULL},
	{"NanoCpus", SHAPE_INT, "0", NULL},
	{"CgroupParent", SHAPE_STR, "\"\"", NULL},
	{"BlkioWeight", SHAPE_INT, "0", NULL},
	{"BlkioWeightDevice", SHAPE_LIST, "[]", &weight_device},
	{"BlkioDeviceReadBps", SHAPE_LIST, "[]", &rate_device},
	{"BlkioDeviceWriteBps", SHAPE_LIST, "[]", &rate_device},
	{"BlkioDeviceReadIOps", SHAPE_LIST, "[]", &rate_device},
	{"BlkioDeviceWriteIOps", SHAPE_LIST, "[]", &rate_device},
	{"CpuPeriod", SHAPE_INT, "0", NULL},
	{"CpuQuota", SHAPE_INT, "0", NULL},
	{"CpuRealtimePeriod", SHAPE_INT, "0", NULL},
	{"CpuRealtimeRuntime", SHAPE_INT, "0", NULL},
	{"CpusetCpus", SHAPE_STR, "\"\"", NULL},
	{"CpusetMems", SHAPE_STR, "\"\"", NULL},
	{"Devices", SHAPE_LIST, "[]", &device},
	{"DeviceCgroupRules", SHAPE_STRV, "null", NULL},
	{"DeviceRequests", SHAPE_LIST, "null", &device_request},
	{"MemoryReservation", SHAPE_INT, "0", NULL},
	{"MemorySwap", SHAPE_INT, "0", NULL},
	{"MemorySwappiness", SHAPE_INT, "null", NULL},
	{"OomKillDisable", SHAPE_BOOL, "null", NULL},
	{"Init", SHAPE_BOOL, NULL, NULL},
	{"PidsLimit", SHAPE_INT, "null", NULL},
	{"Ulimits", SHAPE_LIST, "[]", &ulimit},
	{"CpuCount", SHAPE_INT, "0", NULL},
	{"CpuPercent", SHAPE_INT, "0", NULL},
	{"IOMaximumIOps", SHAPE_INT, "0", NULL},
	{"IOMaximumBandwidth", SHAPE_INT, "0", NULL},
	{"MaskedPaths", SHAPE_STRV, "null", NULL},
	{"ReadonlyPaths", SHAPE_STRV, "null", NULL},
};
const struct shape shape_host_config = SHAPE(host_config_fields);

static const struct shape_field ipam_fields[] = {
	{"IPv4Address", SHAPE_STR, NULL, NULL},
	{"IPv6Address", SHAPE_STR, NULL, NULL},
	{"LinkLocalIPs", SHAPE_STRV, NULL, NULL},
};
static const struct shape ipam = SHAPE(ipam_fields);

static const struct shape_field endpoint_fields[] = {
	{"IPAMConfig", SHAPE_OBJ, "null", &ipam},
	{"Links", SHAPE_STRV, "null", NULL},
	{"Aliases", SHAPE_STRV, "null", NULL},
	{"MacAddress", SHAPE_STR, "\"\"", NULL},
	{"DriverOpts", SHAPE_STR_MAP, "null", NULL},
	{"GwPriority", SHAPE_INT, "0", NULL},
};
static const struct shape endpoint = SHAPE(endpoint_fields);

static const struct shape_field networking_config_fields[] = {
	{"EndpointsConfig", SHAPE_MAP, "{}", &endpoint},
};
const struct shape shape_networking_config = SHAPE(networking_config_fields);

static const struct shape_field volume_fields[] = {
	{"Name", SHAPE_STR, "\"\"", NULL},
	{"Driver", SHAPE_STR, "\"\"", NULL},
	{"DriverOpts", SHAPE_STR_MAP, NULL, NULL},
	{"Labels", SHAPE_STR_MAP, NULL, NULL},
};
const struct shape shape_volume = SHAPE(volume_fields);
