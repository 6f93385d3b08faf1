# `trampoline NAME, TARGET`: NAME is a variadic function that lays out its six argument registers and the address of its
# arguments on the stack in memory, and calls TARGET with the address of that. Intel syntax.
.macro trampoline name, target
.globl \name
.hidden \name
.type \name, @function
\name:
    .cfi_startproc
    sub rsp, 56
    .cfi_adjust_cfa_offset 56
    mov [rsp], rdi
    mov [rsp + 8], rsi
    mov [rsp + 16], rdx
    mov [rsp + 24], rcx
    mov [rsp + 32], r8
    mov [rsp + 40], r9
    lea rax, [rsp + 64]
    mov [rsp + 48], rax
    mov rdi, rsp
    call \target
    add rsp, 56
    .cfi_adjust_cfa_offset -56
    ret
    .cfi_endproc
.size \name, . - \name
.endm
