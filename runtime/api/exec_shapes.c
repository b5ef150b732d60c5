/*
 * The objects of exec as the API has them.
 * Source: Docker Engine API v1.51, ExecConfig, ExecStartConfig.
 */
#include "runtime/api/shape.h"

static const struct shape_field config_fields[] = {
	{"User", SHAPE_STR, "\"\"", NULL},
	{"Privileged", SHAPE_BOOL, "false", NULL},
	{"Tty", SHAPE_BOOL, "false", NULL},
	{"ConsoleSize", SHAPE_INTS, NULL, NULL},
	{"AttachStdin", SHAPE_BOOL, "false", NULL},
	{"AttachStderr", SHAPE_BOOL, "false", NULL},
	{"AttachStdout", SHAPE_BOOL, "false", NULL},
	{"DetachKeys", SHAPE_STR, "\"\"", NULL},
	{"Env", SHAPE_STRV, "null", NULL},
	{"WorkingDir", SHAPE_STR, "\"\"", NULL},
	{"Cmd", SHAPE_STRV, "null", NULL},
};
const struct shape shape_exec_config = {
	config_fields, sizeof(config_fields) / sizeof(config_fields[0])};

static const struct shape_field start_fields[] = {
	{"Detach", SHAPE_BOOL, "false", NULL},
	{"Tty", SHAPE_BOOL, "false", NULL},
	{"ConsoleSize", SHAPE_INTS, NULL, NULL},
};
const struct shape shape_exec_start = {
	start_fields, sizeof(start_fields) / sizeof(start_fields[0])};
