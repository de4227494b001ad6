;; Decodes base64, sixteen characters at a time. `simd-base64.ts` has the compiled module, and explains its purpose.
;; The characters are classified by their halves, as W. Muła and D. Lemire describe it in "Faster Base64 Encoding and Decoding Using AVX2
;; Instructions" (2018).

(module
  ;; Page 0 has the characters, from page 1 on are the octets.
  (memory (export "memory") 2)

  ;; Where the octets end.
  (global $used (export "used") (mut i32) (i32.const 0))

  ;; Decodes whole groups of four characters from $i on, and skips CR, LF, tabs and spaces between groups. Stops at any other character, within a
  ;; group, or if fewer than sixteen characters are left before $end. Returns where it stopped.
  (func (export "decode") (param $i i32) (param $end i32) (result i32)
    (local $out i32)
    (local $block v128)
    (local $high v128)
    (local $invalid i32)
    (local $groups i32)
    (local $before i32)
    (local $octet i32)
    (local.set $out (i32.const 65536))
    (block $stop
      (loop $on
        (br_if $stop (i32.gt_u (i32.add (local.get $i) (i32.const 16)) (local.get $end)))
        (local.set $before (local.get $i))
        (local.set $block (v128.load (local.get $i)))
        (local.set $high (i8x16.shr_u (local.get $block) (i32.const 4)))

        ;; A character is invalid if its two halves share a bit.
        (local.set $invalid
          (i8x16.bitmask
            (i8x16.ne
              (v128.and
                (i8x16.swizzle
                  (v128.const i8x16 0x15 0x11 0x11 0x11 0x11 0x11 0x11 0x11 0x11 0x11 0x13 0x1a 0x1b 0x1b 0x1b 0x1a)
                  (v128.and (local.get $block) (i8x16.splat (i32.const 15))))
                (i8x16.swizzle
                  (v128.const i8x16 0x10 0x10 0x01 0x02 0x04 0x08 0x04 0x08 0x10 0x10 0x10 0x10 0x10 0x10 0x10 0x10)
                  (local.get $high)))
              (i8x16.splat (i32.const 0)))))

        ;; From characters to values: '/' has a row of its own.
        (local.set $block
          (i8x16.add
            (local.get $block)
            (i8x16.swizzle
              (v128.const i8x16 0 16 19 4 -65 -65 -71 -71 0 0 0 0 0 0 0 0)
              (i8x16.add
                (local.get $high)
                (i8x16.eq (local.get $block) (i8x16.splat (i32.const 47)))))))

        ;; Four values of six bits become twenty-four bits.
        (local.set $block
          (v128.or
            (i16x8.shl (v128.and (local.get $block) (i16x8.splat (i32.const 0x3f))) (i32.const 6))
            (i16x8.shr_u (local.get $block) (i32.const 8))))
        (local.set $block
          (v128.or
            (i32x4.shl (v128.and (local.get $block) (i32x4.splat (i32.const 0xfff))) (i32.const 12))
            (i32x4.shr_u (local.get $block) (i32.const 16))))
        (v128.store
          (local.get $out)
          (i8x16.shuffle 2 1 0 6 5 4 10 9 8 14 13 12 3 3 3 3 (local.get $block) (local.get $block)))

        (if (i32.eqz (local.get $invalid))
          (then
            (local.set $i (i32.add (local.get $i) (i32.const 16)))
            (local.set $out (i32.add (local.get $out) (i32.const 12)))
            (br $on)))

        ;; Only the groups before the first invalid character count.
        (local.set $groups (i32.shr_u (i32.ctz (local.get $invalid)) (i32.const 2)))
        (local.set $i (i32.add (local.get $i) (i32.shl (local.get $groups) (i32.const 2))))
        (local.set $out (i32.add (local.get $out) (i32.mul (local.get $groups) (i32.const 3))))
        (br_if $stop (i32.and (i32.ctz (local.get $invalid)) (i32.const 3)))
        (loop $blank
          (local.set $octet (i32.load8_u (local.get $i)))
          (if (i32.or
                (i32.or (i32.eq (local.get $octet) (i32.const 13)) (i32.eq (local.get $octet) (i32.const 10)))
                (i32.or (i32.eq (local.get $octet) (i32.const 32)) (i32.eq (local.get $octet) (i32.const 9))))
            (then
              (local.set $i (i32.add (local.get $i) (i32.const 1)))
              (br_if $blank (i32.lt_u (local.get $i) (local.get $end)))
              (br $stop))))
        (br_if $stop (i32.eq (local.get $i) (local.get $before)))
        (br $on)))
    (global.set $used (local.get $out))
    (local.get $i)))
