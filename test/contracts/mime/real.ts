/** What programs send every day. */
import { lines, type MessageRow, opened, part, utf8 } from './row.ts'

const MIXED = 'multipart/mixed'
const TEXT = 'text/plain'
const X = 'Content-Type: multipart/mixed; boundary=x'

export const real: readonly MessageRow[] = [
  {
    name: 'lines are dots, which only SMTP doubles',
    message: lines('Subject: a', '', '.', '..', '...text', '.'),
    parts: [part('1', TEXT, lines('.', '..', '...text', '.'))],
  },
  {
    name: 'a list adds its footer as one more part, behind the last one',
    message: lines(
      X,
      '',
      '--x',
      'Content-Type: text/html; charset="us-ascii"',
      'MIME-Version: 1.0',
      '',
      '<p>a',
      '--x',
      'Content-Type: text/plain; charset="us-ascii"',
      'Content-Disposition: inline',
      '',
      '_______________',
      'list mailing list',
      '--x--',
      '',
    ),
    parts: [
      opened('TEXT', MIXED),
      part('1', 'text/html', '<p>a'),
      part('2', TEXT, lines('_______________', 'list mailing list'), { disposition: 'inline' }),
    ],
  },
  {
    name: 'a list adds its footer as text behind the closing boundary',
    message: lines(X, '', '--x', '', 'a', '--x--', '', '-- ', 'footer', ''),
    parts: [opened('TEXT', MIXED), part('1', TEXT, 'a')],
  },
  {
    name: 'a signed message has its signature as a part',
    message: lines(
      'Content-Type: multipart/signed; protocol="application/pgp-signature"; micalg=pgp-sha512;',
      '\tboundary="=-x"',
      '',
      'This is an OpenPGP/MIME signed message (RFC 4880 and 3156)',
      '--=-x',
      'Content-Type: text/plain; charset=UTF-8; format=flowed',
      'Content-Transfer-Encoding: quoted-printable',
      '',
      'caf=C3=A9 ',
      '',
      '--=-x',
      'Content-Type: application/pgp-signature; name="signature.asc"',
      'Content-Description: OpenPGP digital signature',
      '',
      '-----BEGIN PGP SIGNATURE-----',
      '',
      'iQ==',
      '-----END PGP SIGNATURE-----',
      '',
      '--=-x--',
      '',
    ),
    parts: [
      opened('TEXT', 'multipart/signed'),
      part('1', TEXT, `${utf8('café')}\r\n`, { text: 'café\r\n' }),
      part(
        '2',
        'application/pgp-signature',
        lines('-----BEGIN PGP SIGNATURE-----', '', 'iQ==', '-----END PGP SIGNATURE-----', ''),
        { name: 'signature.asc' },
      ),
    ],
  },
  {
    name: 'an invitation is a text and a calendar, with a method',
    message: lines(
      'Content-Type: multipart/alternative; boundary=x',
      '',
      '--x',
      'Content-Type: text/calendar; charset="utf-8"; method=REQUEST',
      'Content-Transfer-Encoding: 8bit',
      '',
      utf8('SUMMARY:Café'),
      '--x--',
      '',
    ),
    parts: [
      opened('TEXT', 'multipart/alternative'),
      part('1', 'text/calendar', utf8('SUMMARY:Café'), { text: 'SUMMARY:Café' }),
    ],
  },
  {
    name: 'an attachment is a winmail.dat',
    message: lines(
      X,
      '',
      '--x',
      'Content-Type: application/ms-tnef; name="winmail.dat"',
      'Content-Transfer-Encoding: base64',
      'Content-Disposition: attachment; filename="winmail.dat"',
      '',
      'eJ8+Ig==',
      '',
      '--x--',
      '',
    ),
    parts: [
      opened('TEXT', MIXED),
      part('1', 'application/ms-tnef', 'x\x9f>"', { name: 'winmail.dat', disposition: 'attachment' }),
    ],
  },
  {
    name: 'a text has no Content-Type, and is in quoted-printable and UTF-8',
    message: lines('Content-Transfer-Encoding: quoted-printable', '', 'caf=C3=A9'),
    parts: [part('1', TEXT, utf8('café'), { text: 'café', defects: 'charset-unknown' })],
  },
  {
    name: 'an attachment is a text with a byte order mark',
    message: lines(
      X,
      '',
      '--x',
      'Content-Type: text/csv; charset=utf-8; name=a.csv',
      'Content-Disposition: attachment; filename=a.csv',
      'Content-Transfer-Encoding: base64',
      '',
      '77u/YQ==',
      '--x--',
      '',
    ),
    parts: [
      opened('TEXT', MIXED),
      part('1', 'text/csv', utf8('\ufeffa'), { name: 'a.csv', disposition: 'attachment', text: 'a' }),
    ],
  },
  {
    name: 'a program doubles its line ends',
    message: 'Subject: a\r\r\nContent-Type: text/html\r\r\n\r\r\ntext\r\r\n',
    parts: [
      part('1', 'text/html', '', {
        fields: { subject: 'a', 'content-type': 'text/html' },
        defects: 'field-malformed field-control',
      }),
    ],
  },
]
