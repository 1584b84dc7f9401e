# A guest that reads a legacy virtio-blk disk for ever: BATCH reads for each kick, one after the other, without interrupts.
# Assembled by testing/kicking-guest.ts.
.code16
.globl _start
_start:
 cli
 xorw %ax,%ax
 movw %ax,%ds
 movw %ax,%ss
 movw $0x7000,%sp
 # find virtio-blk (1af4:1001) on bus 0
 movl $0x80000000,%ebx
find:
 movl %ebx,%eax
 movw $0xcf8,%dx
 outl %eax,%dx
 movw $0xcfc,%dx
 inl %dx,%eax
 cmpl $0x10011af4,%eax
 je found
 addl $0x800,%ebx
 cmpl $0x80010000,%ebx
 jb find
dead: hlt
 jmp dead
found:
 # enable io+mem+busmaster
 movl %ebx,%eax
 orl $4,%eax
 movw $0xcf8,%dx
 outl %eax,%dx
 movw $0xcfc,%dx
 inl %dx,%eax
 orl $7,%eax
 outl %eax,%dx
 movl %ebx,%eax
 orl $0x10,%eax
 movw $0xcf8,%dx
 outl %eax,%dx
 movw $0xcfc,%dx
 inl %dx,%eax
 andl $0xfffc,%eax
 movw %ax,%bp          # BAR
 # zero memory 0x10000-0x15fff
 movw $0x1000,%ax
 movw %ax,%es
 xorw %di,%di
 movw $0x3000,%cx
 xorw %ax,%ax
 cld
 rep stosw
 # descriptors at es:0
 movl $0x13000,%es:0
 movl $16,%es:8
 movw $1,%es:12
 movw $1,%es:14
 movl $0x14000,%es:16
 movl $4096,%es:24
 movw $3,%es:28
 movw $2,%es:30
 movl $0x13010,%es:32
 movl $1,%es:40
 movw $2,%es:44
 movw $1,%es:0x1000    # NO_INTERRUPT
 # reset, status
 leaw 18(%bp),%dx
 xorb %al,%al
 outb %al,%dx
 movb $1,%al
 outb %al,%dx
 movb $3,%al
 outb %al,%dx
 leaw 4(%bp),%dx
 xorl %eax,%eax
 outl %eax,%dx
 leaw 14(%bp),%dx
 xorw %ax,%ax
 outw %ax,%dx
 leaw 8(%bp),%dx
 movl $0x10,%eax
 outl %eax,%dx
 leaw 18(%bp),%dx
 movb $7,%al
 outb %al,%dx
 xorw %si,%si
again:
 addw $BATCH,%si
 movw %si,%es:0x1002
 leaw 16(%bp),%dx
 xorw %ax,%ax
 outw %ax,%dx
wait1:
 pause
 movw %es:0x2002,%ax
 cmpw %si,%ax
 jne wait1
 jmp again
.org 510
.word 0xaa55
