#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Persistent reservations by sg_persist, every action and type, from two initiators of a real kernel.
exec "$(dirname "$0")/../conformance/sg_persist/guest.sh"
