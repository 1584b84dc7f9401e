// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * kvm.bpf.c with what needs types of the module kvm: its own BTF if KVM is not built in, which takes CAP_SYS_ADMIN. Without
 * these types the object loads as well, and its rows lack the fields. A damaged BTF of any module fails it: then kvm.bpf.c remains.
 */
#define MODULE_TYPES
#include "kvm.bpf.c"
