/* The state's root directory for one group of unit tests: empty before, and checked to be so after.
 */
#ifndef SAMPAN_OCI_STATE_TEST_ROOT_H
#define SAMPAN_OCI_STATE_TEST_ROOT_H

#include "lib/base/fd.h"
#include "runtime/oci/state.h"

#include <stdlib.h>
#include <unistd.h>

static char root[] = "/tmp/oci_test.XXXXXX";
static int rootfd = -1;

static int make_root(void **state)
{
	struct err e = {0};

	(void)state;
	if (!mkdtemp(root))
		return -1;
	rootfd = state_open_root(root, &e);
	return rootfd < 0 ? -1 : 0;
}

static int drop_root(void **state)
{
	(void)state;
	fd_close(&rootfd);
	return rmdir(root);
}

#endif
