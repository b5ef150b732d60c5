/* checkpoint and restore: known, and refused. */
#include "runtime/oci/commands.h"

#include <string.h>

/* What stands behind is not looked at, so that a caller of runc's with any of its options gets the
 * reason and not the name of an option. */
static int refuse(char **args, const char *usage, const char *command, struct err *e)
{
	if (args[0] && (strcmp(args[0], "--help") == 0 || strcmp(args[0], "-h") == 0)) {
		int r = options_parse(NULL, 0, args, NULL, &args, e);

		return r < 0 ? r : args_count(args, 0, -1, usage, e);
	}
	return err_set(e, ENOTSUP,
		"%s: is not supported: this runtime does not drive CRIU, which would do it",
		command);
}

int cmd_checkpoint(const struct globals *g, char **args, struct err *e)
{
	(void)g;
	return refuse(args, "checkpoint ID", "checkpoint", e);
}

int cmd_restore(const struct globals *g, char **args, struct err *e)
{
	(void)g;
	return refuse(args, "restore ID", "restore", e);
}
