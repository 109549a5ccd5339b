/* SPDX-License-Identifier: Apache-2.0 */
#include "target/control.h"

int control_start(const struct config *cfg)
{
	return 0;
}

void control_stop(void)
{
}
