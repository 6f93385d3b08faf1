// `trampoline NAME, TARGET`: NAME is a variadic function that lays out its eight argument registers and the address of its
// arguments on the stack in memory, and calls TARGET with the address of that.
.macro trampoline name, target
.globl \name
.hidden \name
.type \name, %function
\name:
    .cfi_startproc
    sub sp, sp, #80
    .cfi_adjust_cfa_offset 80
    stp x0, x1, [sp]
    stp x2, x3, [sp, #16]
    stp x4, x5, [sp, #32]
    stp x6, x7, [sp, #48]
    add x9, sp, #80
    stp x9, x30, [sp, #64]
    .cfi_rel_offset x30, 72
    mov x0, sp
    bl \target
    ldr x30, [sp, #72]
    .cfi_restore x30
    add sp, sp, #80
    .cfi_adjust_cfa_offset -80
    ret
    .cfi_endproc
.size \name, . - \name
.endm
