; What LLVM makes of ordinary code: shared memory, a barrier, shuffles, a switch,
; 64-bit and half arithmetic, local memory, a predicated loop.
; out[i] = sum over the 32 values of my warp of in[i] + table(i % 5) + i * 2^32 / 2^32
target triple = "nvptx64-nvidia-cuda"

@exchange = internal addrspace(3) global [64 x i32] poison, align 4

declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()
declare void @llvm.nvvm.barrier.cta.sync.aligned.all(i32)
declare i32 @llvm.nvvm.shfl.sync.bfly.i32(i32, i32, i32, i32)
declare float @llvm.fma.f32(float, float, float)
declare i32 @llvm.umin.i32(i32, i32)
declare i32 @llvm.ctpop.i32(i32)

define ptx_kernel void @llvm(ptr addrspace(1) %in, ptr addrspace(1) %out, i32 %n) {
entry:
  %t = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %t64 = zext i32 %t to i64
  %pin = getelementptr i32, ptr addrspace(1) %in, i64 %t64
  %v = load i32, ptr addrspace(1) %pin
  ; reverse through shared memory, twice
  %mine = getelementptr [64 x i32], ptr addrspace(3) @exchange, i32 0, i32 %t
  store i32 %v, ptr addrspace(3) %mine
  call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)
  %r = sub i32 63, %t
  %his = getelementptr [64 x i32], ptr addrspace(3) @exchange, i32 0, i32 %r
  %w = load i32, ptr addrspace(3) %his
  call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)
  store i32 %w, ptr addrspace(3) %mine
  call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)
  %back = load i32, ptr addrspace(3) %his
  br label %loop
loop:
  %mask = phi i32 [ 16, %entry ], [ %next, %loop ]
  %sum = phi i32 [ %back, %entry ], [ %more, %loop ]
  %other = call i32 @llvm.nvvm.shfl.sync.bfly.i32(i32 -1, i32 %sum, i32 %mask, i32 31)
  %more = add i32 %sum, %other
  %next = lshr i32 %mask, 1
  %go = icmp ne i32 %next, 0
  br i1 %go, label %loop, label %pick
pick:
  %rem = urem i32 %t, 5
  switch i32 %rem, label %other.case [
    i32 0, label %zero
    i32 1, label %one
    i32 2, label %two
    i32 3, label %three
  ]
zero:
  br label %join
one:
  %h = trunc i32 %t to i16
  %hf = uitofp i16 %h to half
  %hg = fmul half %hf, 2.0
  %hi = fptoui half %hg to i32
  br label %join
two:
  %f = uitofp i32 %t to float
  %g = call float @llvm.fma.f32(float %f, float 0.5, float 1.0)
  %gi = fptosi float %g to i32
  br label %join
three:
  %pop = call i32 @llvm.ctpop.i32(i32 %t)
  br label %join
other.case:
  %buffer = alloca [4 x i32]
  %slot = and i32 %t, 3
  %p0 = getelementptr [4 x i32], ptr %buffer, i32 0, i32 %slot
  store i32 1000, ptr %p0
  %l = load i32, ptr %p0
  br label %join
join:
  %extra = phi i32 [ 0, %zero ], [ %hi, %one ], [ %gi, %two ], [ %pop, %three ], [ %l, %other.case ]
  %a = add i32 %more, %extra
  %wide = shl i64 %t64, 32
  %q = sdiv i64 %wide, 4294967295
  %q32 = trunc i64 %q to i32
  %b = add i32 %a, %q32
  %inside = icmp ult i32 %t, %n
  br i1 %inside, label %store, label %end
store:
  %pout = getelementptr i32, ptr addrspace(1) %out, i64 %t64
  store i32 %b, ptr addrspace(1) %pout
  br label %end
end:
  ret void
}
