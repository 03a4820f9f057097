# A firmware that changes 8 bytes in each hundredth page of 256 MiB, turn after turn, for a QEMU
# whose memory is a prepared file. The places are those of `Changes` in Sources/source.
#
# Build: cc -m32 -c -o changes.o changes.S
#        ld -m elf_i386 -e 0xf0000 -Ttext=0xf0000 -o changes.elf changes.o
#        objcopy -O binary changes.elf changes.bin

.set PAGE,   0x1000
.set STRIDE, 100
# The first pages below 1 MiB are the video memory's and the firmware's.
.set FIRST,  300
.set END,    0x10000000

# Idle instructions between two turns.
.set TURN_DELAY, 200000

.text
firmware:

# ---- protected mode, flat segments

.code32
protected:
    movw $0x10, %ax
    movw %ax, %ds
    movw %ax, %ss
    movl $500, %ebx

turn:
    movl $FIRST, %ecx
    movl $FIRST * PAGE, %edi
1:  movl %ecx, %eax
    xorl %edx, %edx
    divl %ebx                       # edx: the page's number modulo 500
    addl $0x01010101, 8(%edi, %edx, 8)
    addl $0x01010101, 12(%edi, %edx, 8)
    addl $STRIDE, %ecx
    addl $STRIDE * PAGE, %edi
    cmpl $END, %edi
    jb 1b

    movl $TURN_DELAY, %ecx
2:  decl %ecx
    jnz 2b
    jmp turn

# ---- real mode, where the processor starts

.code16
start:
    cli
    lgdtl %cs:(descriptor_table_register - firmware)
    movl %cr0, %eax
    orb $1, %al                     # protection enable
    movl %eax, %cr0
    ljmpl $8, $protected

.balign 8
descriptor_table:
    .quad 0
    .quad 0x00cf9a000000ffff        # 8: code, base 0, 4 GiB, 32 bits
    .quad 0x00cf92000000ffff        # 16: data, the same
descriptor_table_register:
    .word . - descriptor_table - 1
    .long descriptor_table

.org 0xfff0
    ljmp $0xf000, $(start - firmware)
.org 0x10000
