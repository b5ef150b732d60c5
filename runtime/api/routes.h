/* All that is served, in one table. docs/api.md is made from it. */
#ifndef SAMPAN_API_ROUTES_H
#define SAMPAN_API_ROUTES_H

#include "runtime/api/router.h"

extern const struct route api_routes[];
extern const size_t api_routes_n;

/* system.c */
int api_ping(struct call *c, struct err *e);
int api_version(struct call *c, struct err *e);
int api_info(struct call *c, struct err *e);
int api_events(struct call *c, struct err *e);

/* images.c */
int api_image_list(struct call *c, struct err *e);
int api_image_load(struct call *c, struct err *e);
int api_image_inspect(struct call *c, struct err *e);
int api_image_tag(struct call *c, struct err *e);
int api_image_remove(struct call *c, struct err *e);

int api_image_history(struct call *c, struct err *e);

/* image_list.c, image_save.c, image_make.c */
int api_image_prune(struct call *c, struct err *e);
int api_image_save(struct call *c, struct err *e);
int api_image_create(struct call *c, struct err *e);
int api_commit(struct call *c, struct err *e);

/* archive.c */
int api_archive_stat(struct call *c, struct err *e);
int api_archive_get(struct call *c, struct err *e);
int api_archive_put(struct call *c, struct err *e);
int api_container_changes(struct call *c, struct err *e);
int api_container_export(struct call *c, struct err *e);

/* registry.c */
int api_image_pull(struct call *c, struct err *e);
int api_image_push(struct call *c, struct err *e);
int api_auth(struct call *c, struct err *e);
int api_distribution(struct call *c, struct err *e);

/* containers.c */
int api_container_create(struct call *c, struct err *e);
int api_container_list(struct call *c, struct err *e);
int api_container_inspect(struct call *c, struct err *e);
int api_container_prune(struct call *c, struct err *e);

/* actions.c */
int api_container_start(struct call *c, struct err *e);
int api_container_stop(struct call *c, struct err *e);
int api_container_restart(struct call *c, struct err *e);
int api_container_kill(struct call *c, struct err *e);
int api_container_pause(struct call *c, struct err *e);
int api_container_unpause(struct call *c, struct err *e);
int api_container_rename(struct call *c, struct err *e);
int api_container_resize(struct call *c, struct err *e);
int api_container_wait(struct call *c, struct err *e);
int api_container_remove(struct call *c, struct err *e);

/* attach.c, logs.c */
int api_container_attach(struct call *c, struct err *e);
int api_container_logs(struct call *c, struct err *e);

/* top.c */
int api_container_top(struct call *c, struct err *e);

/* exec.c */
int api_exec_create(struct call *c, struct err *e);
int api_exec_start(struct call *c, struct err *e);
int api_exec_resize(struct call *c, struct err *e);
int api_exec_inspect(struct call *c, struct err *e);

/* volumes.c */
int api_volume_list(struct call *c, struct err *e);
int api_volume_create(struct call *c, struct err *e);
int api_volume_inspect(struct call *c, struct err *e);
int api_volume_update(struct call *c, struct err *e);
int api_volume_remove(struct call *c, struct err *e);
int api_volume_prune(struct call *c, struct err *e);

/* networks.c */
int api_network_list(struct call *c, struct err *e);
int api_network_inspect(struct call *c, struct err *e);
int api_network_create(struct call *c, struct err *e);
int api_network_attach(struct call *c, struct err *e);
int api_network_remove(struct call *c, struct err *e);
int api_network_prune(struct call *c, struct err *e);

/* stats.c */
int api_container_stats(struct call *c, struct err *e);

/* df.c */
int api_system_df(struct call *c, struct err *e);

/* update.c */
int api_container_update(struct call *c, struct err *e);

#endif
