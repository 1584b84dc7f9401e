/*
 * A real VM that does nothing: a kvm-vm descriptor, and a vCPU in its own thread, for the given number of
 * milliseconds.
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

static int vm;
static useconds_t lifetime;

static void *vcpu(void *nothing)
{
	prctl(PR_SET_NAME, "vcpu0");
	if (ioctl(vm, KVM_CREATE_VCPU, 0) < 0)
		_exit(3);
	if (write(1, "up\n", 3) != 3)
		_exit(4);
	usleep(lifetime);
	_exit(0);
	return nothing;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	/* Exit with the parent. */
	prctl(PR_SET_PDEATHSIG, 9);
	lifetime = (argc > 1 ? atoi(argv[1]) : 10) * 1000;
	if (kvm < 0)
		return 1;
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0)
		return 2;
	pthread_create(&thread, NULL, vcpu, NULL);
	pause();
	return 0;
}
