/** What mail programs write around the text that they quote, in many languages. All in lower case. */

/** How the line begins that names the author of a quote: "On Monday, Ann wrote:". */
export const ATTRIBUTION_STARTS: readonly string[] = [
  'on ',
  'am ',
  'le ',
  'el ',
  'il ',
  'op ',
  'em ',
  'den ',
  'dne ',
  'dnia ',
  'pe ',
  'w dniu ',
  'у ',
  'at ',
  'quoting ',
]

/** How the line is written that stands before a whole message. Hyphens around it are left out. */
export const ORIGINAL_MESSAGE: ReadonlySet<string> = new Set([
  'original message',
  'original appointment',
  'forwarded message',
  'reply message',
  'ursprüngliche nachricht',
  'weitergeleitete nachricht',
  "message d'origine",
  'message d’origine',
  'message transféré',
  'mensaje original',
  'mensaje reenviado',
  'mensagem original',
  'mensagem encaminhada',
  'messaggio originale',
  'messaggio inoltrato',
  'oorspronkelijk bericht',
  'doorgestuurd bericht',
  'ursprungligt meddelande',
  'opprinnelig melding',
  'oprindelig meddelelse',
  'alkuperäinen viesti',
  'wiadomość oryginalna',
  'původní zpráva',
  'исходное сообщение',
  'пересылаемое сообщение',
  '原始邮件',
  '轉寄郵件',
  '元のメッセージ',
])

/** Apple's line before a forwarded message, which ends with a colon. */
export const BEGIN_FORWARDED: ReadonlySet<string> = new Set([
  'begin forwarded message',
  'anfang der weitergeleiteten nachricht',
  'début du message transféré',
  'inicio del mensaje reenviado',
  'inizio messaggio inoltrato',
  'begin doorgestuurd bericht',
])

/** The names of fields in the block that Outlook writes above a whole message. */
export const AUTHOR_FIELDS: ReadonlySet<string> = words('from von de da van från fra lähettäjä od от 发件人 差出人')
export const SUBJECT_FIELDS: ReadonlySet<string> = words(
  'subject betreff objet asunto assunto oggetto onderwerp ämne emne aihe temat předmět тема 主题 件名',
)
export const OTHER_FIELDS: ReadonlySet<string> = words(
  'sent date to cc subject reply-to importance attachments gesendet datum an betreff envoyé à objet enviado enviada fecha para asunto data assunto ' +
    'inviato a oggetto verzonden aan onderwerp skickat till ämne sendt til emne lähetetty vastaanottaja aihe wysłano do temat odesláno komu předmět ' +
    'отправлено кому тема 发送时间 收件人 主题 送信日時 宛先 件名',
)

function words(text: string): ReadonlySet<string> {
  return new Set(text.split(' '))
}
