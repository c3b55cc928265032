# Het kader van elke pagina.
node-product = Licenties
root-product = Licentieservers
skip-to-content = Naar de inhoud
tabs = Pagina's
language = Taal
colours = Kleuren
colours-auto = Zoals het systeem
colours-light = Licht
colours-dark = Donker
connection-lost = De verbinding met de dienst is verbroken. Wat u ziet kan verouderd zijn; het wordt bijgewerkt zodra de dienst weer antwoordt.
back-to-start = Naar de startpagina
pager = Pagina's van de lijst
pager-range = { $first } tot en met { $last } van { $total }
pager-from = Vanaf { $first }
pager-next = Volgende pagina
pager-newer = Nieuwer
pager-first = Eerste pagina
search = Zoeken
show = Tonen

# Aanmelden.
sign-in = Aanmelden
sign-in-local = Een lokale beheerder meldt zich aan met een koppeling die één keer werkt, gedurende korte tijd. Voer op de machine van de dienst uit:
sign-in-provider = Aanmelden via uw organisatie
sign-out = Afmelden
signed-in = U bent aangemeld.
role-viewer = lezer
role-administrator = beheerder

# Wat geweigerd wordt.
refused = Dit is niet gelukt
refused-sign-in-first = U bent niet aangemeld.
refused-sign-in-first-next = Meld u aan en probeer het opnieuw.
refused-link-unknown = Met deze koppeling kunt u zich niet aanmelden: deze dienst heeft haar niet gemaakt.
refused-link-unknown-next = Maak op de machine van de dienst een nieuwe en open die op tijd.
refused-link-used = Deze koppeling is al gebruikt. Ze werkt één keer.
refused-link-used-next = Was u dat niet, bekijk dan de gebeurtenissen; maak op de machine van de dienst een nieuwe koppeling.
refused-link-expired = Deze koppeling is verlopen.
refused-link-expired-next = Maak op de machine van de dienst een nieuwe en open die op tijd.
refused-not-administrator = Wie deze koppeling heeft gemaakt, is geen lokale beheerder meer.
refused-not-administrator-next = Laat het gebruikers-id toevoegen aan admin.uids en start de dienst opnieuw.
refused-administrators-only = Dit mag alleen een beheerder.
refused-administrators-only-next = Vraag een beheerder, of meld u aan als beheerder.
refused-form-forged = Dit formulier is niet vanaf een pagina van u verzonden, of u hebt zich intussen opnieuw aangemeld.
refused-form-forged-next = Ga terug, laad de pagina opnieuw en verzend het formulier nog een keer.
refused-form-invalid = Het formulier is niet volledig.
refused-form-invalid-next = Ga terug, vul aan wat ontbreekt en verzend het opnieuw.
refused-too-large = Er is te veel verzonden.
refused-too-large-next = Een licentiebestand is klein: kies het bestand dat de leverancier heeft gestuurd.
refused-not-found = Deze pagina bestaat niet.
refused-not-found-next = Misschien had ze een ander adres, of is verdwenen wat ze toonde.
refused-wrong-host = Deze dienst antwoordt niet onder deze naam.
refused-wrong-host-next = Open hem onder het adres dat hij heeft afgedrukt, of stel web.public_url in.
refused-service = De dienst kon dit niet doen.
refused-service-next = In het logboek staat waarom; probeer het opnieuw als de oorzaak is verholpen.
