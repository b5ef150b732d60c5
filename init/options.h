/* Where things are: fixed for PID 1, given by options for a subreaper on somebody's machine. */
#ifndef SAMPAN_INIT_OPTIONS_H
#define SAMPAN_INIT_OPTIONS_H

#include "init/limits.h"

#include <stdbool.h>

struct options {
	bool subreaper;		  /* not PID 1: no mounts, no devices, exit instead of reboot */
	const char *services_dir; /* one file per service */
	const char *run_dir;	  /* init.sock, containers/NAME/ */
	const char *cgroup_root;  /* NULL: no cgroups */
	const char *oci;	  /* sampan-oci */
	char cmdline[CMDLINE_BYTES_MAX];
};

/* Set once by main(). */
extern struct options options;

#endif
