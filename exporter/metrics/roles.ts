/** Values of the label `role` of the long-lived threads that do a VM's I/O. They can be pinned. */
export const IO_THREAD_LABELS = ['iothread', 'vhost', 'sqpoll'] as const;

/** Values of the label `role` of the long-lived threads on the I/O path. */
export const IO_PATH_LABELS = ['vcpu', ...IO_THREAD_LABELS] as const;
