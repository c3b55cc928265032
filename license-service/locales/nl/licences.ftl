# Tabbladen.
tab-status = Status
tab-update = Bijwerken

# Het tabblad van een leverancier.
vendor = Leverancier
owner = Eigenaar
serial-number = Serienummer
expires = Vervaldatum
grace-ends = Einde van de respijttermijn
maintenance-ends = Onderhoud tot
next-check = Volgende controle
version = Versie
signed-on = ondertekend op { $date }
licences = Licenties
licence = Licentie
search-licences = Naam of titel
no-licences = Deze leverancier heeft geen licenties opgegeven.
nothing-found = Niets heeft dit in de naam.
details = Gegevens van de licentie
name = Naam
kind = Soort
kind-site = vestiging
kind-satellite = satelliet
kind-user = gebruiker
kind-site-note = Alle gebruikers van de vestiging delen één plaats.
kind-satellite-note = Alle gebruikers van een satellietdatabase delen één plaats.
kind-user-note = Eén plaats per gebruiker.
in-use = In gebruik
available = Beschikbaar
total = Totaal
use = Gebruik
in-use-of = { $in_use } van { $total } in gebruik
features = Functies
lease = Geldigheidsduur
borrowing = Lenen
borrowing-bounds = { $borrowed } van { $seats } uitgeleend, elk voor hoogstens { $longest }
holders = Wie de plaatsen heeft
no-holders = Niemand heeft een plaats.
user = Gebruiker
users = Gebruikers
device = Apparaat
held-until = Tot
assigned = toegewezen
borrowed = geleend
leased = tijdelijk
span-seconds = { $count ->
    [one] { $shown } seconde
   *[other] { $shown } seconden
}
span-minutes = { $count ->
    [one] { $shown } minuut
   *[other] { $shown } minuten
}
span-hours = { $count ->
    [one] { $shown } uur
   *[other] { $shown } uur
}
span-days = { $count ->
    [one] { $shown } dag
   *[other] { $shown } dagen
}

# Status: database en certificaat.
database = Database
database-kind = Type
database-central = centrale database
database-satellite = satellietdatabase
next-expiry = Volgende vervaldatum
signed-in-user = Aangemeld
time-zone = Tijdzone
certificate = Licentieverleningscertificaat
no-certificate = Deze server heeft nog geen certificaat.
issues-licences = verleent licenties
issues-nothing = verleent niets
issued-by = Uitgegeven door
serial = Serienummer
valid-until = Geldig tot
planned-renewal = Geplande vernieuwing
by-hand = handmatig
last-renewal = Laatste vernieuwing
never = nooit
renewal-problem = Laatste poging
failed = mislukt
renew-now = Nu vernieuwen
validity = Geldig van { $start } tot { $end }; nog { $left }
mark-month = Nog een maand
mark-week = Nog een week
mark-renewal = Vernieuwing

# Status: diensten met datalimiet.
metered-services = Diensten met datalimiet
nothing-metered = Er zijn geen diensten met datalimiet.
service = Dienst
used = Gebruikt
included = Inbegrepen
surplus = Meerverbruik
amount = Bedrag
open-usage = Twaalf maanden en maandoverzichten
back-to-status = Terug naar de status
back-to-usage = Terug naar de diensten met datalimiet
used-of = { $used } van { $included } inbegrepen
used-of-surplus = { $used } gebruikt, { $included } inbegrepen: { $surplus } meerverbruik
nothing-used = niets gebruikt
allowance-rule = Een maand omvat { $total }: { $base }, en { $per_user } voor elk van { $users } gebruikers.
allowance-note = Inbegrepen is een basis en een hoeveelheid per gebruiker, naar het hoogste aantal gebruikers op enig moment van de maand.
twelve-months = { $service } in de laatste twaalf maanden
statements = Maandoverzichten
no-statements = Er zijn nog geen maandoverzichten.
statement-of = Maandoverzicht van { $month }
statement-draft = voorlopig
statement-final = definitief
month = Maand
state = Stand
period = Periode
from-to = { $start } tot { $end }
digest = Vingerafdruk
adjustments = Te laat gemeld
reported-late = Te laat gemeld
more-than = meer dan { $amount }

# Status: systeemmeldingen.
system-events = Systeemmeldingen
event = Event
status = Status
message = Bericht
activated = Geactiveerd
activated-by = Geactiveerd door
completed = Voltooid
type = Type
severity = Ernst
description = Beschrijving
ended-by = Beëindigd door
event-number = Nummer
event-active = actief
event-ended = beëindigd
expected = verwacht
by-service = de dienst
no-events = Er is niets gebeurd.
no-active-events = Er is geen actieve gebeurtenis.
events-all = alle
events-active = actieve
events-older = Ouder
severity-any = elke
severity-info = informatie
severity-warning = waarschuwing
severity-error = fout
severity-warning-up = waarschuwingen en fouten
severity-error-only = fouten
scope-system = hele systeem
scope-database = database
scope-group = groep
scope-user = gebruiker
add-event = Gebeurtenis toevoegen
end-event = Deze gebeurtenis beëindigen
target = Welke database, groep of gebruiker
expected-end = Verwacht einde ({ $zone })
notice-until = Verwacht tot { $end }.

# Bijwerken.
up-to-date = Wat van kracht is, is het nieuwste dat hier bekend is.
ask-root = De basisserver vragen
ask-root-note = Een nieuwer licentiebestand wordt opgehaald, en wat het verandert wordt hier getoond.
by-itself = Het wordt van kracht als u het activeert; staat er niets in de weg, dan ook vanzelf, de volgende keer dat deze server vraagt (entitlements.automatic).
by-your-word = Niets wordt van kracht voordat u dat zegt.
check-now = Nu controleren
load-file = Bestand laden
load-file-note = Voor een server zonder verbinding met de basisserver: kies het bestand dat de leverancier heeft gestuurd, of sleep het hierheen.
file = Bestand met licentiegegevens
load = Laden
nothing-newer = Er is niets nieuwers.
nothing-newer-next = Wat van kracht is, blijft.
changed-meanwhile = Intussen is een nieuwere versie aangekomen.
changed-meanwhile-next = Bekijk hieronder de wijzigingen en activeer haar dan.
new-version = { $vendor }: versie { $version }
first-version = De eerste van deze leverancier.
instead-of = In plaats van versie { $version }
changes = Wat verandert
what-changes = Wat verandert
now = Nu
then = Straks
activate = Activeren
activate-and-remove = Weghalen en activeren
remove-superfluous = Haal de hieronder gemarkeerde plaatsen weg bij wie ze heeft
update-blocked = Deze versie kan niet van kracht worden: er is meer in gebruik dan ze heeft.
update-blocked-next = Haal hieronder toewijzingen weg, wacht tot tijdelijke licenties eindigen, of laat het teveel weghalen bij het activeren.
too-many = { $in_use } zijn in gebruik, en er zouden er { $total } zijn: { $remove } moeten weg.
unassign = Weghalen
field-of-modules = Licentie
field-of-services = Dienst
field-version = Versie
field-vendor = Leverancier
field-company = Bedrijf
field-serial-number = Serienummer
field-time-zone = Tijdzone
field-dates-expires = Vervaldatum
field-dates-grace-ends = Einde van de respijttermijn
field-dates-maintenance-ends = Onderhoud tot
field-dates-next-check = Volgende controle
field-dates-first-warning = Eerste waarschuwing
field-name = Naam
field-title = Titel
field-description = Beschrijving
field-kind = Soort
field-quantity = Aantal
field-expires = Vervaldatum
field-features = Functies
field-lease = Geldigheidsduur (seconden)
field-borrow-longest = Langste leentermijn (seconden)
field-borrow-seats = Plaatsen die geleend kunnen worden
field-unit = Eenheid
field-aggregation = Optelling
field-allowance-base = Inbegrepen
field-allowance-per-user = Inbegrepen per gebruiker
field-price-minor-units = Prijs (kleinste munteenheid)
field-price-currency = Munteenheid
field-price-per = Prijs per aantal eenheden

# Wat iedereen moet zien.
disabled-NOT_ENROLLED = Er wordt niets verleend: deze server is niet ingeschreven.
disabled-NOT_ENROLLED-next = Maak op de basisserver een token (root-service token create) en voer license-service enroll uit.
disabled-LICENSOR_CERTIFICATE_EXPIRED = Er wordt niets verleend: het licentieverleningscertificaat is verlopen op { $not_after }.
disabled-LICENSOR_CERTIFICATE_EXPIRED-next = Vernieuw het op het tabblad Status, of met license-service renew. Daarna werkt de dienst meteen weer.
disabled-LICENSOR_CERTIFICATE_NOT_YET_VALID = Er wordt niets verleend: het licentieverleningscertificaat is geldig vanaf { $not_before }.
disabled-LICENSOR_CERTIFICATE_NOT_YET_VALID-next = Zet de klok van deze machine goed.
disabled-CERTIFICATE_REVOKED = Er wordt niets verleend: het licentieverleningscertificaat is ingetrokken op { $revoked_at }.
disabled-CERTIFICATE_REVOKED-next = Vraag de beheerder van de basisserver naar de reden; voer met een nieuw token license-service enroll uit.
certificate-month = Het licentieverleningscertificaat verloopt op { $not_after }, over een maand of eerder.
certificate-month-next = De service blijft normaal functioneren. Vernieuwen gaat vanzelf; mislukt het, dan zegt het tabblad Status waarom.
certificate-week = Het licentieverleningscertificaat verloopt op { $not_after }, over een week of eerder.
certificate-week-next = De service blijft normaal functioneren. Vernieuw nu op het tabblad Status, of kijk daar waarom het mislukt.
clock-behind = De klok van deze machine zegt { $now }, en { $seen } is al gezien: er worden geen plaatsen gegeven.
clock-behind-next = Zet de klok goed; was ze eerder verkeerd, voer dan license-service clock accept uit.
entitlement-soon = De licenties van { $vendor } verlopen op { $expires }.
entitlement-soon-next = Vraag de leverancier om een nieuw licentiebestand.
entitlement-grace = De licenties van { $vendor } zijn verlopen op { $expires }; nieuwe worden verleend tot { $grace_ends }.
entitlement-grace-next = Vraag de leverancier om een nieuw licentiebestand en laad het op het tabblad Bijwerken.
entitlement-over = De licenties van { $vendor } zijn verlopen op { $expires }: ze kunnen worden verlengd en teruggegeven, en nieuwe worden niet verleend.
entitlement-over-next = Vraag de leverancier om een nieuw licentiebestand en laad het op het tabblad Bijwerken.

# Weigeringen van de dienst die op dit scherm kunnen voorkomen.
reason-SEATS_IN_USE = De nieuwe licentiegegevens van { $vendor } kunnen niet van kracht worden: er is meer in gebruik dan ze hebben ({ $modules }).
reason-SEATS_IN_USE-next = Haal toewijzingen weg, wacht tot tijdelijke licenties eindigen, of laat het teveel weghalen.
reason-ENTITLEMENT_INVALID = Dit is geen licentiebestand, of het is niet heel.
reason-ENTITLEMENT_INVALID-next = Kies het bestand dat de leverancier heeft gestuurd, zoals het gestuurd is.
reason-ENTITLEMENT_SIGNER_UNTRUSTED = Wie dit licentiebestand heeft ondertekend, wordt hier niet vertrouwd.
reason-ENTITLEMENT_SIGNER_UNTRUSTED-next = Vraag de leverancier om zijn vertrouwensanker en noem het in entitlements.trust_anchors.
reason-ENTITLEMENT_OF_ANOTHER_OWNER = Dit licentiebestand is voor een andere eigenaar.
reason-ENTITLEMENT_OF_ANOTHER_OWNER-next = Vraag de leverancier om dat van de eigenaar van deze server.
reason-ENTITLEMENT_OUTDATED = Hier is al een nieuwere versie van dit licentiebestand bekend.
reason-ENTITLEMENT_OUTDATED-next = Vraag de leverancier om de nieuwste.
reason-ENTITLEMENT_UNKNOWN = Er is geen nieuwer licentiebestand.
reason-ENTITLEMENT_UNKNOWN-next = Vraag de basisserver, of laad een bestand.
reason-VENDOR_TAKEN = Een andere basisserver heeft licentiebestanden van een leverancier met deze naam ondertekend.
reason-VENDOR_TAKEN-next = Vraag de leverancier welke basisserver voor hem ondertekent.
reason-ROOT_UNREACHABLE = De basisserver is niet bereikbaar.
reason-ROOT_UNREACHABLE-next = Kijk of hij draait en of het netwerk deze server doorlaat; wat van kracht is, blijft.
reason-EVENT_ALREADY_ACTIVE = Er is al zo'n gebeurtenis, met nummer { $sequence }.
reason-EVENT_ALREADY_ACTIVE-next = Beëindig die eerst.
reason-EVENT_ALREADY_ENDED = Deze gebeurtenis is al beëindigd.
reason-EVENT_ALREADY_ENDED-next = Laad de pagina opnieuw.
reason-EVENT_UNKNOWN = Deze gebeurtenis bestaat niet.
reason-EVENT_UNKNOWN-next = Laad de pagina opnieuw.
reason-ASSIGNMENT_UNKNOWN = Deze licentie is niet meer aan deze gebruiker toegewezen.
reason-ASSIGNMENT_UNKNOWN-next = Laad de pagina opnieuw.
reason-STATEMENT_UNKNOWN = Voor deze maand is er geen maandoverzicht.
reason-STATEMENT_UNKNOWN-next = Kies er een uit de lijst.
reason-DISK_FULL = De schijf van deze dienst is bijna vol: er wordt niets bewaard.
reason-DISK_FULL-next = Maak ruimte in de gegevensmap; het logboek zegt hoeveel.
reason-STORE_UNAVAILABLE = Deze dienst kan op dit moment niets bewaren.
reason-STORE_UNAVAILABLE-next = Kijk in het logboek en probeer het opnieuw.
