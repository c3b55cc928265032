# Ramen runt varje sida.
node-product = Licenser
root-product = Licensservrar
skip-to-content = Till innehållet
tabs = Sidor
language = Språk
colours = Färger
colours-auto = Som systemet
colours-light = Ljus
colours-dark = Mörk
connection-lost = Anslutningen till tjänsten är bruten. Det du ser kan vara inaktuellt; det uppdateras så snart tjänsten svarar.
back-to-start = Till startsidan
pager = Listans sidor
pager-range = { $first } till { $last } av { $total }
pager-next = Nästa sida
pager-first = Första sidan
search = Sök
table = Tabell, kan rullas i sidled
show = Visa

# Inloggning.
sign-in = Logga in
sign-in-local = En lokal administratör loggar in med en länk som fungerar en gång, under kort tid. Kör på tjänstens dator:
sign-in-provider = Logga in via din organisation
sign-out = Logga ut
signed-in = Du är inloggad.
role-viewer = läsare
role-administrator = administratör

# Det som nekas.
refused = Det gick inte
refused-sign-in-first = Du är inte inloggad.
refused-sign-in-first-next = Logga in och försök igen.
refused-link-unknown = Den här länken loggar inte in dig: tjänsten har inte skapat den.
refused-link-unknown-next = Skapa en ny på tjänstens dator och öppna den i tid.
refused-link-used = Den här länken har redan använts. Den fungerar en gång.
refused-link-used-next = Om det inte var du, titta på händelserna; skapa en ny länk på tjänstens dator.
refused-link-expired = Den här länken har upphört att gälla.
refused-link-expired-next = Skapa en ny på tjänstens dator och öppna den i tid.
refused-not-administrator = Den som skapade länken är inte längre lokal administratör.
refused-not-administrator-next = Be att användar-id läggs till i admin.uids och starta om tjänsten.
refused-administrators-only = Det här får bara en administratör göra.
refused-administrators-only-next = Fråga en administratör, eller logga in som en.
refused-form-forged = Formuläret skickades inte från en av dina sidor, eller så har du loggat in på nytt sedan dess.
refused-form-forged-next = Gå tillbaka, läs in sidan på nytt och skicka formuläret igen.
refused-form-invalid = Formuläret är inte fullständigt.
refused-form-invalid-next = Gå tillbaka, fyll i det som saknas och skicka det igen.
refused-too-large = För mycket skickades.
refused-too-large-next = En licensfil är liten: välj den som leverantören skickade.
refused-not-found = Sidan finns inte.
refused-not-found-next = Den kan ha haft en annan adress, eller så är det den visade borta.
refused-service = Tjänsten kunde inte göra detta.
refused-service-next = { $message }

# Det som nekas den som kommer från inloggningstjänsten.
refused-provider-unreachable = Din organisations inloggningstjänst svarar inte.
refused-provider-unreachable-next = Försök igen om en stund. På tjänstens dator kan en lokal administratör skapa en länk; loggen säger vad som är fel.
refused-provider-error = Din organisations inloggningstjänst rapporterade ett fel.
refused-provider-error-next = Försök igen. Om det inte hjälper, visa detta för den som sköter tjänsten: loggen säger vad som rapporterades.
refused-provider-answer = Det går inte att lita på det som din organisations inloggningstjänst säger.
refused-provider-answer-next = Försök igen. Om det inte hjälper, visa detta för den som sköter tjänsten: loggen säger vad som är fel.
refused-provider-denied = Din organisations inloggningstjänst släppte inte in dig, eller så avbröt du.
refused-provider-denied-next = Logga in på nytt, eller fråga den som hanterar ditt konto.
refused-provider-state = Den här inloggningen började inte i den här webbläsaren.
refused-provider-state-next = Logga in på nytt, och öppna inte sidans adress för hand.
refused-provider-used = Den här inloggningen har redan slutförts.
refused-provider-used-next = Logga in på nytt.
refused-provider-expired = Inloggningen tog för lång tid.
refused-provider-expired-next = Logga in på nytt, inom tio minuter.
refused-provider-code = Din organisations inloggningstjänst godtar inte längre den här inloggningen.
refused-provider-code-next = Logga in på nytt.
refused-provider-role = Din organisation känner dig, men du har ingen roll här.
refused-provider-role-next = Be den som hanterar ditt konto om rollen som läsare eller administratör för den här tjänsten.
