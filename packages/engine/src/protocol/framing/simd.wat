;; Walks over ordinary lines of message text, sixteen octets at a time. `simd.ts` has the compiled module, and
;; explains its purpose.

(module
  (memory (export "memory") 1)

  ;; The beginning of the last line.
  (global $lineStart (export "lineStart") (mut i32) (i32.const 0))
  ;; Octets of the longest line that ended, CRLF included; 0 if none ended.
  (global $longest (export "longest") (mut i32) (i32.const 0))

  ;; Walks from $i, within the line that began at $start, which may be negative. Stops at a CR or LF that does not end a
  ;; line, at a dot at a line's start, or if fewer than sixteen octets are left before $end. A line counts as ended only if
  ;; the octet behind it is there too.
  (func (export "walk") (param $i i32) (param $end i32) (param $start i32) (result i32)
    (local $block v128)
    (local $lineEnds v128)
    (local $longestYet i32)
    (local $next i32)
    (block $stop
      (loop $on
        (br_if $stop (i32.gt_u (i32.add (local.get $i) (i32.const 16)) (local.get $end)))
        (local.set $block (v128.load (local.get $i)))
        (local.set $lineEnds
          (v128.or
            (i8x16.eq (local.get $block) (i8x16.splat (i32.const 13)))
            (i8x16.eq (local.get $block) (i8x16.splat (i32.const 10)))))
        (if (i32.eqz (v128.any_true (local.get $lineEnds)))
          (then
            (local.set $i (i32.add (local.get $i) (i32.const 16)))
            (br $on)))

        ;; Goes to the first of them, which must be CRLF.
        (local.set $i (i32.add (local.get $i) (i32.ctz (i8x16.bitmask (local.get $lineEnds)))))
        (local.set $next (i32.add (local.get $i) (i32.const 2)))
        (br_if $stop (i32.ge_u (local.get $next) (local.get $end)))
        (br_if $stop (i32.ne (i32.load16_u (local.get $i)) (i32.const 0x0a0d)))
        (if (i32.gt_s (i32.sub (local.get $next) (local.get $start)) (local.get $longestYet))
          (then (local.set $longestYet (i32.sub (local.get $next) (local.get $start)))))
        (local.set $i (local.get $next))
        (local.set $start (local.get $next))
        (br_if $on (i32.ne (i32.load8_u (local.get $i)) (i32.const 46)))))
    (global.set $lineStart (local.get $start))
    (global.set $longest (local.get $longestYet))
    (local.get $i)))
