/*
 * How an empty volume gets what the image has at its place. The copy grows beside _data, is renamed
 * when it is complete and on the disk, and then its entries are moved into _data, which stays the
 * directory that it was: a container may have it mounted. A move that was cut short goes on when
 * the store is opened next.
 */
#ifndef SAMPAN_STORE_VOLUME_FILL_H
#define SAMPAN_STORE_VOLUME_FILL_H

#include "lib/base/err.h"

#include <pthread.h>

/*
 * Fill the volume @own from the directory @from.
 * @own: volumes/NAME, borrowed, as is @from
 * @lock: taken for the moves
 */
int volume_fill(int own, const char *name, int from, pthread_mutex_t *lock, struct err *e);

/* Copy into _data itself: something else is mounted there. */
int volume_fill_straight(int own, const char *name, int from, struct err *e);

/* Remove a copy that was not completed, end a move that was begun. */
int volume_fill_resume(int own, const char *name, struct err *e);

#endif
