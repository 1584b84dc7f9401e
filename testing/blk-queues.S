# A guest of two vCPUs that drives two queues of a modern virtio-blk disk for ever, BATCH reads a kick, as testing/blk-guest.S does.
# QUEUES=0: each vCPU has its own queue. 1: both use the first. 2: each uses both in turns. An NMI changes 0 and 2 to 1, 1 to 0, and back.
# HONOURS=1: it does not kick while the host asks for no notification.
# PACE=8: each vCPU halts until the next tick of its 100 Hz timer after 8 batches. 0: it never halts.
# Real mode with segments of 4 GiB: KVM without unrestricted guests emulates its interrupts, and no iret in protected mode.
# as --32 --defsym BATCH=4 --defsym HONOURS=0 --defsym PACE=0 --defsym QUEUES=0 -o blk.o blk-queues.S && ld -m elf_i386 -Ttext 0x7c00 --oformat binary -o blk.bin blk.o
.set APIC, 0xfee00000
.set RINGS, 0x20000        # of each queue 64 KiB: descriptors, available, used, and the fields below
.set AVAILABLE, 0x1000
.set USED, 0x2000
.set REQUEST, 0x3000
.set LOCK, 0x3f00
.set INDEX, 0x3f04
.set NOTIFY, 0x3f08
.set NUMBER, 0x3f0c
.set DATA, 0x4000
.set PER_TICK, 625000      # of 1 GHz / 16: 100 Hz

.code16
.globl _start
_start:
 cli
 xorw %ax,%ax
 movw %ax,%ds
 movw %ax,%es
 movw %ax,%ss
 movw $0x7000,%sp
 movw $0x0204,%ax        # read four more sectors
 movw $2,%cx
 xorb %dh,%dh
 movw $0x7e00,%bx
 int $0x13
 cli
 movw $first,%bp
 jmp flat
gdtr:
 .word 23
 .long gdt
.balign 8
gdt:
 .quad 0, 0x00009b000000ffff, 0x00cf93000000ffff
flat:                    # bp: where to go on
 lgdtl gdtr
 movl %cr0,%eax
 orb $1,%al
 movl %eax,%cr0
 ljmp $8,$1f
1: movw $16,%bx
 movw %bx,%ds
 movw %bx,%es
 andb $0xfe,%al
 movl %eax,%cr0
 ljmp $0,$2f
2: xorw %ax,%ax
 movw %ax,%ds
 movw %ax,%es
 movw %ax,%ss
 jmp *%bp
.org 510
 .word 0xaa55

first:
 movl $0x6000,%esp
 movb $0xff,%al          # no interrupts of the old controllers
 outb %al,$0x21
 outb %al,$0xa1
 movw $on_nmi,2*4
 movw $0,2*4+2
 movw $on_tick,0x40*4
 movw $0,0x40*4+2
 movw $on_nothing,0xff*4
 movw $0,0xff*4+2
 movl $RINGS,%edi        # empty
 movl $0x20000/4,%ecx
clear:
 movl $0,(%edi)
 addl $4,%edi
 decl %ecx
 jnz clear
 call disk
 movl $APIC,%ebx
 movl $1<<24,0x310(%ebx)  # INIT and SIPI to the other vCPU
 movl $0x4500,0x300(%ebx)
 movw $10000,%cx
1: pause
 loop 1b
 movl $0x4608,0x300(%ebx)
 xorl %ebp,%ebp
 jmp work

on_nmi:
 pushl %ebx
 movl $APIC,%ebx
 movl 0x20(%ebx),%ebx
 shrl $24,%ebx
 xorb $1,changed(%ebx)
 popl %ebx
 iretw
on_tick:
 pushl %ebx
 movl $APIC,%ebx
 movl $0,0xb0(%ebx)
 popl %ebx
on_nothing:
 iretw
changed: .byte 0,0

.org 0x400               # 0x8000: SIPI of page 8
 cli
 xorw %ax,%ax
 movw %ax,%ds
 movw %ax,%ss
 movw $second,%bp
 ljmp $0,$flat
second:
 movl $0x5000,%esp
 movl $1,%ebp

work:                    # ebp: number of this vCPU
 movl $APIC,%ebx
 movl $0x1ff,0xf0(%ebx)
 movl $0x400,0x360(%ebx)  # LINT1: NMI
.if PACE
 movl $3,0x3e0(%ebx)      # divided by 16
 movl $0x20040,0x320(%ebx)
 movl $PER_TICK,0x380(%ebx)
 movl $PACE,%edi
.endif
again:
 xorl %ebx,%ebx
 cmpb $0,changed(%ebp)
.if QUEUES == 1
 je chosen
.else
 jne chosen
.endif
.if QUEUES == 2
 incl %ecx
 movl %ecx,%ebx
 andl $1,%ebx
.else
 movl %ebp,%ebx
.endif
chosen:
 shll $16,%ebx
 addl $RINGS,%ebx
lock:
 movl $1,%eax
 xchgl %eax,LOCK(%ebx)
 testl %eax,%eax
 jz locked
 pause
 jmp lock
locked:
 movl INDEX(%ebx),%esi
 addw $BATCH,%si
 movl %esi,INDEX(%ebx)
 movw %si,AVAILABLE+2(%ebx)
.if HONOURS
 lock addl $0,(%esp)     # the index before the flag
 testb $1,USED(%ebx)     # NO_NOTIFY
 jnz done
.endif
 movl NOTIFY(%ebx),%edx
 movl NUMBER(%ebx),%eax
 movw %ax,(%edx)
done:
 pause
 cmpw %si,USED+2(%ebx)
 jne done
 movl $0,LOCK(%ebx)
.if PACE
 decl %edi
 jnz again
 movl $PACE,%edi
 sti
 hlt
 cli
.endif
 jmp again

disk:
 movl $0x80000000,%ebx   # find virtio-blk (1af4:1001) on bus 0
find:
 xorb %cl,%cl
 call pci_read
 cmpl $0x10011af4,%eax
 je found
 addl $0x800,%ebx
 cmpl $0x80010000,%ebx
 jb find
dead: hlt
 jmp dead
found:
 movb $4,%cl             # memory and bus mastering
 call pci_read
 orl $6,%eax
 outl %eax,%dx
 movb $0x20,%cl          # BAR 4: common fields, and the notify addresses at 0x3000
 call pci_read
 andl $~15,%eax
 movl %eax,%edi
 movb $0,20(%edi)        # status
 movb $1,20(%edi)
 movb $3,20(%edi)
 movl $0,8(%edi)         # VIRTIO_BLK_F_MQ, VIRTIO_F_VERSION_1
 movl $1<<12,12(%edi)
 movl $1,8(%edi)
 movl $1,12(%edi)
 movb $0x0b,20(%edi)
 xorl %ecx,%ecx
queue:
 movl %ecx,%ebx
 shll $16,%ebx
 addl $RINGS,%ebx
 leal REQUEST(%ebx),%eax
 movl %eax,(%ebx)
 movl $16,8(%ebx)
 movl $0x10001,12(%ebx)
 leal DATA(%ebx),%eax
 movl %eax,16(%ebx)
 movl $4096,24(%ebx)
 movl $0x20003,28(%ebx)
 leal REQUEST+16(%ebx),%eax
 movl %eax,32(%ebx)
 movl $1,40(%ebx)
 movl $2,44(%ebx)
 movw $1,AVAILABLE(%ebx) # NO_INTERRUPT
 movl %ecx,NUMBER(%ebx)
 movw %cx,22(%edi)
 movl %ebx,32(%edi)
 movl $0,36(%edi)
 leal AVAILABLE(%ebx),%eax
 movl %eax,40(%edi)
 movl $0,44(%edi)
 leal USED(%ebx),%eax
 movl %eax,48(%edi)
 movl $0,52(%edi)
 movzwl 30(%edi),%eax
 leal 0x3000(%edi,%eax,4),%eax
 movl %eax,NOTIFY(%ebx)
 movw $1,28(%edi)
 incl %ecx
 cmpl $2,%ecx
 jb queue
 movb $0x0f,20(%edi)
 ret

pci_read:                # ebx: device, cl: offset; edx: port of the value, eax: value
 movl %ebx,%eax
 movb %cl,%al
 movw $0xcf8,%dx
 outl %eax,%dx
 movw $0xcfc,%dx
 inl %dx,%eax
 ret
.org 0xa00
