# A guest so small that recordings of it are small: 64 KiB of firmware that replaces the BIOS
# (`-bios tinyguest.bin`), needs no disk, no interrupts and no device but the first serial port, and
# is ready at once on q35, pc and microvm alike.
#
# Build: cc -m32 -c -o tinyguest.o tinyguest.S
#        ld -m elf_i386 -e 0xf0000 -Ttext=0xf0000 -o tinyguest.elf tinyguest.o
#        objcopy -O binary tinyguest.elf tinyguest.bin
#
# It fills memory, says R (ready), and from then on does what it reads from the serial port:
#
#   g   go: rewrite the hot pages, turn after turn; answers G
#   s   stop: idle; answers S
#
# Memory from 1 MiB, all the rest staying zero:
#
#   0x100000  64 pages of text    compress well
#   0x140000   4 pages of noise   do not compress
#   0x150000  24 hot pages        a few changed bytes in each turn: small deltas
#   0x168000   4 hot pages        every second byte changed: no delta fits in a page
#   0x16c000   4 hot pages        text in some turns, zero in the others

.set SERIAL,      0x3f8
.set SERIAL_LINE, 0x3fd
.set DATA_READY,  0x01

.set TEXT,       0x100000
.set NOISE,      0x140000
.set SPARSE,     0x150000
.set DENSE,      0x168000
.set BLINKING,   0x16c000
.set HOT_END,    0x170000
.set PAGE,       0x1000

# Idle instructions between two turns, so that a turn is not over before a page could be sent.
.set TURN_DELAY, 200000

.text
firmware:

# ---- protected mode, flat segments

.code32
protected:
    movw $0x10, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl $0x9000, %esp
    cld

    movl $TEXT, %edi
    movl $NOISE, %edx
    call fill_text

    movl $NOISE, %edi
    movl $0x2545f491, %eax          # any seed but 0
1:  movl %eax, %ebx
    shll $13, %ebx
    xorl %ebx, %eax
    movl %eax, %ebx
    shrl $17, %ebx
    xorl %ebx, %eax
    movl %eax, %ebx
    shll $5, %ebx
    xorl %ebx, %eax
    stosl
    cmpl $NOISE + 4 * PAGE, %edi
    jb 1b

    movl $SPARSE, %edi
    movl $HOT_END, %edx
    call fill_text

    movb $'R', %al
    call say
    xorl %ebp, %ebp                 # the turn's number

idle:
    pause
    call heard
    jz idle
    cmpb $'g', %al
    jne idle
    movb $'G', %al
    call say

turn:
    incl %ebp

    # The number at both ends of the page and at a place that moves: deltas of three runs.
    movl $SPARSE, %edi
1:  movl %ebp, (%edi)
    movl %ebp, PAGE - 4(%edi)
    movl %ebp, %eax
    shll $4, %eax
    andl $0x7f0, %eax
    movl %ebp, 0x400(%edi, %eax)
    addl $PAGE, %edi
    cmpl $DENSE, %edi
    jb 1b

1:  incb (%edi)
    addl $2, %edi
    cmpl $BLINKING, %edi
    jb 1b

    # Zero for 32 turns, text for 32.
    testl $31, %ebp
    jnz 2f
    movl $HOT_END, %edx
    testl $32, %ebp
    jz 1f
    xorl %eax, %eax
    movl $(HOT_END - BLINKING) / 4, %ecx
    rep stosl
    jmp 2f
1:  call fill_text

2:  movl $TURN_DELAY, %ecx
3:  decl %ecx
    jnz 3b

    call heard
    jz turn
    cmpb $'s', %al
    jne turn
    movb $'S', %al
    call say
    jmp idle

# Fills [edi, edx) with letters, each page from another one on.
fill_text:
1:  movl %edi, %eax
    shrl $12, %eax
    addl %edi, %eax
    andb $15, %al
    addb $'a', %al
    stosb
    cmpl %edx, %edi
    jb 1b
    ret

# Sends al.
say:
    movw $SERIAL, %dx
    outb %al, %dx
    ret

# Zero flag clear and the byte in al, when the serial port has received one.
heard:
    movw $SERIAL_LINE, %dx
    inb %dx, %al
    testb $DATA_READY, %al
    jz 1f
    movw $SERIAL, %dx
    inb %dx, %al
    orb $0xff, %ah                  # clears the zero flag, whatever the byte
1:  ret

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
