/*
 * The processes of a container as ps lists them, out of /proc: no ps is run, and only the columns
 * that are known here can be asked for.
 * Source: ps(1) of procps; Docker Engine API v1.51, ContainerTop.
 */
#ifndef SAMPAN_ENGINE_TOP_H
#define SAMPAN_ENGINE_TOP_H

#include "runtime/engine/engine.h"

/* columns of one list */
#define TOP_COLUMNS_MAX 40

struct top_column;

/*
 * What ps's arguments ask for: "-ef", "aux", "-o pid,args" …
 * Returns how many columns; -EINVAL with @e filled, which names what is not known.
 */
int top_columns(
	const char *ps_args, const struct top_column *ret[static TOP_COLUMNS_MAX], struct err *e);

/*
 * Add Titles and Processes to @top.
 * Returns 0; -EBUSY when the container does not run; otherwise -errno.
 */
int container_top(struct engine *en, struct container *c, const char *ps_args, yyjson_mut_doc *doc,
	yyjson_mut_val *top, struct err *e);

/* top_columns.c: what the machine is, against which times and memory are told. */
struct top_machine {
	long long boot_s; /* realtime */
	long long now_s;
	long long ticks;  /* per second */
	long long page;	  /* bytes */
	long long memory; /* bytes */
};

struct process;
struct top_column {
	const char *name; /* as ps -o has it */
	const char *title;
	void (*print)(const struct process *p, const struct top_machine *m, char *buf, size_t size);
	int field; /* of stat, when there is no function */
};

#endif
