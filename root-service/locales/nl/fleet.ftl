# Samenvatting.
fleet = Licentieservers
all-nodes = in totaal
state-current = geldig
state-month = nog een maand
state-week = nog een week
state-expired = verlopen
state-revoked = ingetrokken
state-decommissioned = buiten gebruik
own-certificate = Deze autoriteit:
no-authority = Deze autoriteit heeft nog geen certificaat.
valid-until = Geldig tot

# Wat iedereen moet zien.
authority-off-NOT_ENROLLED = Deze root heeft zelf nog geen certificaat: hij meldt geen servers aan en vernieuwt niets.
authority-off-NOT_ENROLLED-next = Breng zijn aanvraag naar de bovenliggende root: root-service authority export-request, of authority upstream.
authority-off-CERTIFICATE_REVOKED = Het certificaat van deze root is door de bovenliggende root ingetrokken: hij meldt geen servers aan en vernieuwt niets.
authority-off-CERTIFICATE_REVOKED-next = Vraag de bovenliggende root om een nieuw token en voer daarna root-service authority upstream uit.
authority-off-AUTHORITY_EXPIRED = Het certificaat van deze root is op { $not_after } verlopen: hij meldt geen servers aan en vernieuwt niets.
authority-off-AUTHORITY_EXPIRED-next = Voer root-service authority renew uit.
authority-off-CERTIFICATE_NOT_YET_VALID = De klok van deze machine loopt achter op het certificaat van deze root: hij meldt geen servers aan en vernieuwt niets.
authority-off-CERTIFICATE_NOT_YET_VALID-next = Zet de klok gelijk.
authority-month = Het certificaat van deze root verloopt op { $not_after }, over een maand of eerder.
authority-month-next = Voer op tijd root-service authority renew uit.
authority-week = Het certificaat van deze root verloopt op { $not_after }, over een week of eerder.
authority-week-next = Voer nu root-service authority renew uit.

# Naar resterende tijd.
by-expiry = Licentieservers naar resterende tijd
bucket-expired = verlopen
bucket-1w = < 1 week
bucket-1m = < 1 mnd
bucket-3m = < 3 mnd
bucket-6m = < 6 mnd
bucket-12m = < 12 mnd
bucket-longer = langer
bucket-expired-title = verlopen
bucket-1w-title = nog minder dan een week
bucket-1m-title = nog een week tot een maand
bucket-3m-title = nog een tot drie maanden
bucket-6m-title = nog drie tot zes maanden
bucket-12m-title = nog zes tot twaalf maanden
bucket-longer-title = nog twaalf maanden of langer
bucket-title = { $label }: { $count }

# Vernieuwing.
renewals = Vernieuwing
renewal = Vernieuwing
none-overdue = alle zijn op tijd vernieuwd
some-overdue = { $count ->
    [one] { $shown } had al vernieuwd moeten zijn
   *[other] { $shown } hadden al vernieuwd moeten zijn
}
overdue = te laat
due = nu aan de beurt
not-due = op tijd
renewed-day = vernieuwd in 24 uur
renewed-week = vernieuwd in 7 dagen
refused-renewals = geweigerd sinds de start van de dienst
renewal-window = Vernieuwen tussen

# De tabel.
nodes-by-expiry = Naar vervaldatum
show-all = Alles tonen
search-nodes = Naam, eigenaar of serienummer
no-nodes = Bij deze root is nog geen licentieserver aangemeld.
nothing-found = Geen licentieserver voldoet hieraan.
nodes-read = De licentieservers worden gelezen: { $count } tot nu toe.
nodes-failed = De licentieservers kunnen niet worden gelezen: raadpleeg het logboek van de dienst. Er volgt een nieuwe poging.
node = Naam
owner = Eigenaar
serial = Serienummer
time-to-expiry = Resterende tijd
last-issued = Laatste vernieuwing
kind = Soort
kind-server = licentieserver
kind-root = root
pager-back = Vorige pagina
pager-newest = Nieuwste
pager-older = Ouder
time-left = { $span }
time-over = { $span } geleden
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

# Details.
details = Details
close-details = Details sluiten
enrolled = Aangemeld
addresses = Adressen
certificates = Certificaten
standing = Toestand
certificate-current = geldig
certificate-superseded = vervangen
certificate-expired = verlopen
certificate-revoked = ingetrokken

# Gebeurtenissen.
recent-events = Gebeurtenissen
events-of-node = Gebeurtenissen van deze server
events-all = Alles tonen
events-warnings = Alleen waarschuwingen en fouten
no-events = Er is niets gebeurd.
none-among-newest = Geen van de nieuwste gebeurtenissen is zo; oudere misschien wel.
no-recent-events = Niets onder de laatste gebeurtenissen.
severity-info = informatie
severity-warning = waarschuwing
severity-error = fout
happened-at = Tijdstip
caused-by = Veroorzaakt door
by-service = de dienst
ended = Beëindigd
still-active = nog actief
event-number = Gebeurtenis
