/*
 * The Dockerfile instructions that `commit --change` and `import --change` know: CMD, ENTRYPOINT,
 * ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR. Pure functions.
 * Source: the Dockerfile reference of Docker.
 */
#ifndef SAMPAN_ENGINE_INSTRUCTIONS_H
#define SAMPAN_ENGINE_INSTRUCTIONS_H

#include "lib/base/err.h"

#include <yyjson.h>

/* bytes of one instruction */
#define INSTRUCTION_BYTES_MAX 65536

/*
 * Apply one instruction to @config, an API ContainerConfig.
 * Returns 0; -EINVAL with what is wrong.
 */
int instruction_apply(yyjson_mut_doc *doc, yyjson_mut_val *config, const char *text, struct err *e);

#endif
