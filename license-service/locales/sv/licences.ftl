# Flikar.
tab-status = Status
tab-update = Uppdatera

# En leverantörs flik.
vendor = Leverantör
owner = Ägare
serial-number = Serienummer
expires = Upphör att gälla
grace-ends = Respitens slut
maintenance-ends = Underhåll till
next-check = Nästa kontroll
version = Version
signed-on = undertecknad { $date }
licences = Licenser
licence = Licens
search-licences = Namn eller titel
no-licences = Leverantören har inte angett några licenser.
nothing-found = Inget har detta i namnet.
details = Licensens uppgifter
name = Namn
kind = Slag
kind-site = anläggning
kind-satellite = satellit
kind-user = användare
kind-site-note = Alla användare på anläggningen delar en plats.
kind-satellite-note = Alla användare av en satellitdatabas delar en plats.
kind-user-note = En plats per användare.
in-use = Används
available = Lediga
total = Totalt
use = Användning
in-use-of = { $in_use } av { $total } används
features = Funktioner
lease = Giltighetstid
borrowing = Lån
borrowing-bounds = { $borrowed } av { $seats } utlånade, var och en i högst { $longest }
holders = Vem som har platserna
no-holders = Ingen har någon plats.
user = Användare
users = Användare
device = Enhet
held-until = Till
assigned = tilldelad
borrowed = lånad
leased = tillfällig
span-seconds = { $count ->
    [one] { $shown } sekund
   *[other] { $shown } sekunder
}
span-minutes = { $count ->
    [one] { $shown } minut
   *[other] { $shown } minuter
}
span-hours = { $count ->
    [one] { $shown } timme
   *[other] { $shown } timmar
}
span-days = { $count ->
    [one] { $shown } dag
   *[other] { $shown } dagar
}

# Status: databas och certifikat.
database = Databas
database-kind = Typ
database-central = central databas
database-satellite = satellitdatabas
next-expiry = Nästa utgångsdatum
signed-in-user = Inloggad
time-zone = Tidszon
certificate = Licensieringscertifikat
no-certificate = Servern har inget certifikat än.
issues-licences = utfärdar licenser
issues-nothing = utfärdar inget
issued-by = Utfärdat av
serial = Serienummer
valid-until = Giltigt till
planned-renewal = Planerad förnyelse
by-hand = för hand
last-renewal = Senaste förnyelse
never = aldrig
renewal-problem = Senaste försök
failed = misslyckades
renew-now = Förnya nu
validity = Giltigt från { $start } till { $end }; { $left } kvar
mark-month = En månad kvar
mark-week = En vecka kvar
mark-renewal = Förnyelse

# Status: mätta tjänster.
metered-services = Mätta tjänster
nothing-metered = Inget mäts.
service = Tjänst
used = Använt
included = Ingår
surplus = Överskjutande
amount = Belopp
open-usage = Tolv månader och månadsbesked
back-to-status = Tillbaka till status
back-to-usage = Tillbaka till de mätta tjänsterna
used-of = { $used } av { $included } som ingår
used-of-surplus = { $used } använt, { $included } ingår: { $surplus } överskjutande
nothing-used = inget använt
allowance-rule = En månad omfattar { $total }: { $base }, och { $per_user } för var och en av { $users } användare.
allowance-note = Det som ingår är en bas och en mängd per användare, efter det högsta antalet användare vid någon tidpunkt under månaden.
twelve-months = { $service } under de senaste tolv månaderna
statements = Månadsbesked
no-statements = Det finns inga månadsbesked än.
statement-of = Månadsbesked för { $month }
statement-draft = preliminärt
statement-final = slutligt
month = Månad
state = Läge
period = Period
from-to = { $start } till { $end }
digest = Fingeravtryck
adjustments = Rapporterat för sent
reported-late = Rapporterat för sent
more-than = mer än { $amount }

# Status: systemhändelser.
system-events = Systemhändelser
event = Händelse
status = Status
message = Meddelande
activated = Aktiverad
activated-by = Aktiverad av
completed = Avslutad
type = Typ
severity = Allvar
description = Beskrivning
ended-by = Avslutad av
event-number = Nummer
event-active = aktiv
event-ended = avslutad
expected = väntas
by-service = tjänsten
no-events = Inget har hänt.
no-active-events = Ingen händelse är aktiv.
events-all = alla
events-active = aktiva
events-older = Äldre
severity-any = alla
severity-info = information
severity-warning = varning
severity-error = fel
severity-warning-up = varningar och fel
severity-error-only = fel
scope-system = hela systemet
scope-database = databas
scope-group = grupp
scope-user = användare
add-event = Lägg till en händelse
end-event = Avsluta händelsen
target = Vilken databas, grupp eller användare
expected-end = Väntat slut ({ $zone })
notice-until = Väntas pågå till { $end }.

# Uppdatera.
up-to-date = Det som gäller är det nyaste som är känt här.
ask-root = Fråga rotservern
ask-root-note = En nyare licensfil hämtas, och det som den ändrar visas här.
by-itself = Den börjar gälla när du aktiverar den; om inget står i vägen även av sig själv, nästa gång servern frågar (entitlements.automatic).
by-your-word = Inget börjar gälla förrän du säger till.
check-now = Kontrollera nu
load-file = Läs in en fil
load-file-note = För en server utan anslutning till rotservern: välj filen som leverantören skickade, eller släpp den här.
file = Fil med licensuppgifter
load = Läs in
nothing-newer = Det finns inget nyare.
nothing-newer-next = Det som gäller fortsätter att gälla.
changed-meanwhile = Under tiden kom en nyare version.
changed-meanwhile-next = Titta på ändringarna nedan och aktivera den sedan.
new-version = { $vendor }: version { $version }
first-version = Den första från leverantören.
instead-of = I stället för version { $version }
changes = Vad som ändras
what-changes = Vad som ändras
now = Nu
then = Sedan
activate = Aktivera
activate-and-remove = Ta bort och aktivera
remove-superfluous = Ta de platser som är markerade nedan från dem som har dem
update-blocked = Versionen kan inte börja gälla: mer används än den har.
update-blocked-next = Ta bort tilldelningar nedan, vänta tills tillfälliga licenser tar slut, eller låt det överskjutande tas bort när du aktiverar.
too-many = { $in_use } används, och det skulle finnas { $total }: { $remove } måste bort.
unassign = Ta bort
field-of-modules = Licens
field-of-services = Tjänst
field-version = Version
field-vendor = Leverantör
field-company = Företag
field-serial-number = Serienummer
field-time-zone = Tidszon
field-dates-expires = Upphör att gälla
field-dates-grace-ends = Respitens slut
field-dates-maintenance-ends = Underhåll till
field-dates-next-check = Nästa kontroll
field-dates-first-warning = Första varning
field-name = Namn
field-title = Titel
field-description = Beskrivning
field-kind = Slag
field-quantity = Antal
field-expires = Upphör att gälla
field-features = Funktioner
field-lease = Giltighetstid (sekunder)
field-borrow-longest = Längsta lån (sekunder)
field-borrow-seats = Platser som kan lånas
field-unit = Enhet
field-aggregation = Sammanräkning
field-allowance-base = Ingår
field-allowance-per-user = Ingår per användare
field-price-minor-units = Pris (minsta enhet)
field-price-currency = Valuta
field-price-per = Pris per antal enheter

# Det alla måste se.
disabled-NOT_ENROLLED = Inget utfärdas: servern är inte registrerad.
disabled-NOT_ENROLLED-next = Skapa en token på rotservern (root-service token create) och kör license-service enroll.
disabled-LICENSOR_CERTIFICATE_EXPIRED = Inget utfärdas: licensieringscertifikatet upphörde att gälla { $not_after }.
disabled-LICENSOR_CERTIFICATE_EXPIRED-next = Förnya det på fliken Status, eller med license-service renew. Sedan fungerar tjänsten igen direkt.
disabled-LICENSOR_CERTIFICATE_NOT_YET_VALID = Inget utfärdas: licensieringscertifikatet gäller från { $not_before }.
disabled-LICENSOR_CERTIFICATE_NOT_YET_VALID-next = Ställ datorns klocka.
disabled-CERTIFICATE_REVOKED = Inget utfärdas: licensieringscertifikatet återkallades { $revoked_at }.
disabled-CERTIFICATE_REVOKED-next = Fråga rotserverns administratör varför; kör license-service enroll med en ny token.
certificate-month = Licensieringscertifikatet upphör att gälla { $not_after }, om en månad eller tidigare.
certificate-month-next = Tjänsten fortsätter att fungera normalt. Förnyelsen sker av sig själv; om den misslyckas säger fliken Status varför.
certificate-week = Licensieringscertifikatet upphör att gälla { $not_after }, om en vecka eller tidigare.
certificate-week-next = Tjänsten fortsätter att fungera normalt. Förnya nu på fliken Status, eller se där varför det misslyckas.
clock-behind = Datorns klocka säger { $now }, och { $seen } har redan setts: inga platser ges.
clock-behind-next = Ställ klockan; om den var fel tidigare, kör license-service clock accept.
entitlement-soon = Licenserna från { $vendor } upphör att gälla { $expires }.
entitlement-soon-next = Be leverantören om en ny licensfil.
entitlement-grace = Licenserna från { $vendor } upphörde att gälla { $expires }; nya utfärdas till { $grace_ends }.
entitlement-grace-next = Be leverantören om en ny licensfil och läs in den på fliken Uppdatera.
entitlement-over = Licenserna från { $vendor } upphörde att gälla { $expires }: de kan förlängas och lämnas tillbaka, och inga nya utfärdas.
entitlement-over-next = Be leverantören om en ny licensfil och läs in den på fliken Uppdatera.

# Tjänstens vägranden som kan visas här.
reason-SEATS_IN_USE = De nya licensuppgifterna från { $vendor } kan inte börja gälla: mer används än de har ({ $modules }).
reason-SEATS_IN_USE-next = Ta bort tilldelningar, vänta tills tillfälliga licenser tar slut, eller låt det överskjutande tas bort.
reason-ENTITLEMENT_INVALID = Det här är ingen licensfil, eller så är den inte hel.
reason-ENTITLEMENT_INVALID-next = Välj filen som leverantören skickade, så som den skickades.
reason-ENTITLEMENT_SIGNER_UNTRUSTED = Den som undertecknade licensfilen är inte betrodd här.
reason-ENTITLEMENT_SIGNER_UNTRUSTED-next = Be leverantören om dess förtroendeankare och ange det i entitlements.trust_anchors.
reason-ENTITLEMENT_OF_ANOTHER_OWNER = Licensfilen är för en annan ägare.
reason-ENTITLEMENT_OF_ANOTHER_OWNER-next = Be leverantören om den för serverns ägare.
reason-ENTITLEMENT_OUTDATED = En nyare version av licensfilen är redan känd här.
reason-ENTITLEMENT_OUTDATED-next = Be leverantören om den nyaste.
reason-ENTITLEMENT_UNKNOWN = Det finns ingen nyare licensfil.
reason-ENTITLEMENT_UNKNOWN-next = Fråga rotservern, eller läs in en fil.
reason-VENDOR_TAKEN = En annan rotserver har undertecknat licensfiler från en leverantör med det här namnet.
reason-VENDOR_TAKEN-next = Fråga leverantören vilken rotserver som undertecknar.
reason-ROOT_UNREACHABLE = Rotservern kan inte nås.
reason-ROOT_UNREACHABLE-next = Se efter om den är igång och om nätet släpper igenom servern; det som gäller fortsätter att gälla.
reason-EVENT_ALREADY_ACTIVE = Det finns redan en sådan händelse, med nummer { $sequence }.
reason-EVENT_ALREADY_ACTIVE-next = Avsluta den först.
reason-EVENT_ALREADY_ENDED = Händelsen är redan avslutad.
reason-EVENT_ALREADY_ENDED-next = Läs in sidan på nytt.
reason-EVENT_UNKNOWN = Händelsen finns inte.
reason-EVENT_UNKNOWN-next = Läs in sidan på nytt.
reason-ASSIGNMENT_UNKNOWN = Licensen är inte längre tilldelad den här användaren.
reason-ASSIGNMENT_UNKNOWN-next = Läs in sidan på nytt.
reason-STATEMENT_UNKNOWN = Det finns inget månadsbesked för månaden.
reason-STATEMENT_UNKNOWN-next = Välj ett i listan.
reason-DISK_FULL = Tjänstens disk är nästan full: inget sparas.
reason-DISK_FULL-next = Gör plats i datamappen; loggen säger hur mycket.
reason-STORE_UNAVAILABLE = Tjänsten kan inte spara något just nu.
reason-STORE_UNAVAILABLE-next = Titta i loggen och försök igen.
