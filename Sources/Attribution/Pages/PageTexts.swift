/// The words of the pages, in each language. `%@` is what a message was about.
struct PageTexts: Sendable {
    let title: String
    let about: String
    let stopTopic: String
    let stopAll: String
    let choose: String
    let save: String
    let done: String
    let doneTopic: String
    let doneAll: String
    let saved: String
    let gone: String
    let goneAdvice: String

    static func of(_ language: PageLanguage) -> PageTexts {
        switch language {
        case .english: self.english
        case .german: self.german
        case .french: self.french
        case .spanish: self.spanish
        case .polish: self.polish
        case .italian: self.italian
        case .portuguese: self.portuguese
        case .dutch: self.dutch
        }
    }

    private static let english = PageTexts(
        title: "Unsubscribe",
        about: "The message was about: %@.",
        stopTopic: "No more messages about %@",
        stopAll: "No more messages at all",
        choose: "Or choose what you would like to get",
        save: "Save my choice",
        done: "Done",
        doneTopic: "You will get no more messages about %@.",
        doneAll: "You will get no more messages of this kind from us.",
        saved: "Your choice has been saved.",
        gone: "This link does not work",
        goneAdvice: "It may be incomplete or too old. Please use the link in a newer message.")

    private static let german = PageTexts(
        title: "Abmelden",
        about: "In der Nachricht ging es um: %@.",
        stopTopic: "Keine Nachrichten mehr zu: %@",
        stopAll: "Gar keine Nachrichten mehr",
        choose: "Oder wählen Sie, was Sie bekommen möchten",
        save: "Auswahl speichern",
        done: "Erledigt",
        doneTopic: "Sie bekommen keine Nachrichten mehr zu: %@.",
        doneAll: "Sie bekommen keine Nachrichten dieser Art mehr von uns.",
        saved: "Ihre Auswahl ist gespeichert.",
        gone: "Dieser Link funktioniert nicht",
        goneAdvice: "Vielleicht ist er unvollständig oder zu alt. Bitte nehmen Sie den Link in einer neueren Nachricht."
    )

    private static let french = PageTexts(
        title: "Se désabonner",
        about: "Sujet du message : %@.",
        stopTopic: "Ne plus recevoir de messages sur : %@",
        stopAll: "Ne plus recevoir aucun message",
        choose: "Ou choisissez ce que vous souhaitez recevoir",
        save: "Enregistrer mon choix",
        done: "C’est fait",
        doneTopic: "Vous ne recevrez plus de messages sur : %@.",
        doneAll: "Vous ne recevrez plus de messages de ce type de notre part.",
        saved: "Votre choix est enregistré.",
        gone: "Ce lien ne fonctionne pas",
        goneAdvice: "Il est peut-être incomplet ou trop ancien. Veuillez utiliser le lien d’un message plus récent.")

    private static let spanish = PageTexts(
        title: "Darse de baja",
        about: "Tema del mensaje: %@.",
        stopTopic: "No recibir más mensajes sobre: %@",
        stopAll: "No recibir ningún mensaje más",
        choose: "O elija lo que desea recibir",
        save: "Guardar mi elección",
        done: "Hecho",
        doneTopic: "Ya no recibirá mensajes sobre: %@.",
        doneAll: "Ya no recibirá mensajes de este tipo de nuestra parte.",
        saved: "Su elección se ha guardado.",
        gone: "Este enlace no funciona",
        goneAdvice: "Puede que esté incompleto o sea demasiado antiguo. Utilice el enlace de un mensaje más reciente.")

    private static let polish = PageTexts(
        title: "Rezygnacja z wiadomości",
        about: "Temat wiadomości: %@.",
        stopTopic: "Nie chcę więcej wiadomości na temat: %@",
        stopAll: "Nie chcę już żadnych wiadomości",
        choose: "Albo wybierz, co chcesz otrzymywać",
        save: "Zapisz mój wybór",
        done: "Gotowe",
        doneTopic: "Nie będziemy już wysyłać wiadomości na temat: %@.",
        doneAll: "Nie będziemy już wysyłać wiadomości tego rodzaju.",
        saved: "Twój wybór został zapisany.",
        gone: "Ten link nie działa",
        goneAdvice: "Może być niepełny lub zbyt stary. Użyj linku z nowszej wiadomości.")

    private static let italian = PageTexts(
        title: "Annulla l’iscrizione",
        about: "Argomento del messaggio: %@.",
        stopTopic: "Non ricevere più messaggi su: %@",
        stopAll: "Non ricevere più alcun messaggio",
        choose: "Oppure scelga che cosa desidera ricevere",
        save: "Salva la mia scelta",
        done: "Fatto",
        doneTopic: "Non riceverà più messaggi su: %@.",
        doneAll: "Non riceverà più messaggi di questo tipo da parte nostra.",
        saved: "La Sua scelta è stata salvata.",
        gone: "Questo link non funziona",
        goneAdvice: "Forse è incompleto o troppo vecchio. Usi il link di un messaggio più recente.")

    private static let portuguese = PageTexts(
        title: "Cancelar a subscrição",
        about: "Assunto da mensagem: %@.",
        stopTopic: "Não receber mais mensagens sobre: %@",
        stopAll: "Não receber mais nenhuma mensagem",
        choose: "Ou escolha o que deseja receber",
        save: "Guardar a minha escolha",
        done: "Concluído",
        doneTopic: "Não receberá mais mensagens sobre: %@.",
        doneAll: "Não receberá mais mensagens deste tipo da nossa parte.",
        saved: "A sua escolha foi guardada.",
        gone: "Esta ligação não funciona",
        goneAdvice: "Pode estar incompleta ou ser demasiado antiga. Use a ligação de uma mensagem mais recente.")

    private static let dutch = PageTexts(
        title: "Afmelden",
        about: "Het bericht ging over: %@.",
        stopTopic: "Geen berichten meer over: %@",
        stopAll: "Helemaal geen berichten meer",
        choose: "Of kies wat u wilt ontvangen",
        save: "Mijn keuze opslaan",
        done: "Klaar",
        doneTopic: "U krijgt geen berichten meer over: %@.",
        doneAll: "U krijgt geen berichten van deze soort meer van ons.",
        saved: "Uw keuze is opgeslagen.",
        gone: "Deze link werkt niet",
        goneAdvice: "Misschien is hij onvolledig of te oud. Gebruik de link in een nieuwer bericht.")
}
