/* Devices that init itself listens to: power buttons, and /dev for what appears later. */
#ifndef SAMPAN_INIT_DEVICES_H
#define SAMPAN_INIT_DEVICES_H

void devices_open(void);

#endif
